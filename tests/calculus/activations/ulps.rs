//! Every value is within 4 units in the last place of 60-digit arithmetic (`reference.py`),
//! wherever it is computed: by the trait, by fused hidden layers, by last layers, and with
//! curvature.

#![allow(
    clippy::unwrap_used,
    reason = "a table or network of the test that is wrong fails it"
)]

use super::tangents::{curvature, forward_tangent};
use super::{elementwise, slope, value};
use backprop::activation::{Activation, AnyActivation, Elu, Identity};
use backprop::cost::Outputs;
use backprop::nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use backprop::{Cost, Error, Examples, Network, Objective, Scalar};

/// The limit, in the units that the head of `reference.py` defines.
const LIMIT: f64 = 4.0;

/// A value as count · 2^unit; `None` if it overflows.
#[derive(Clone, Copy, Debug)]
struct Exact {
    unit: i32,
    whole: f64,
    rest: f64,
}

impl Exact {
    fn parse(text: &str) -> Option<Self> {
        if text == "inf" {
            return None;
        }
        let (unit, count) = text.split_once(',').unwrap();
        let (whole, rest) = count.split_once('.').unwrap_or((count, "0"));
        let sign = if count.starts_with('-') { -1.0 } else { 1.0 };
        Some(Self {
            unit: unit.parse().unwrap(),
            whole: whole.parse().unwrap(),
            rest: sign * format!("0.{rest}").parse::<f64>().unwrap(),
        })
    }

    /// |found − self| in units.
    fn error(self, found: f64) -> f64 {
        // 2^−unit by itself may overflow; both products are exact.
        let half = self.unit / 2;
        let scaled = found * 2_f64.powi(-half) * 2_f64.powi(half - self.unit);
        ((scaled - self.whole) - self.rest).abs()
    }
}

struct Reference<T> {
    activation: AnyActivation,
    z: Vec<T>,
    /// g, g′ and g″ for each z.
    exact: Vec<[Option<Exact>; 3]>,
}

fn references<T: Scalar>(text: &str, from_bits: impl Fn(u64) -> T) -> Vec<Reference<T>> {
    let mut all: Vec<Reference<T>> = Vec::new();
    let known: Vec<AnyActivation> = elementwise()
        .filter(|g| !matches!(g, Elu { .. }))
        .chain([0.7, 1e10].map(|alpha| Elu { alpha }))
        .collect();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let first = fields.next().unwrap();
        if let Some(&activation) = known.iter().find(|g| Activation::<f64>::name(*g) == first) {
            let (z, exact) = (Vec::new(), Vec::new());
            all.push(Reference {
                activation,
                z,
                exact,
            });
            continue;
        }
        let last = all.last_mut().unwrap();
        let bits = u64::from_str_radix(first, 16).unwrap();
        last.z.push(from_bits(bits));
        let mut next = || Exact::parse(fields.next().unwrap());
        last.exact.push([next(), next(), next()]);
    }
    assert_eq!(all.len(), known.len(), "every activation has its reference");
    all
}

/// The sum of the outputs: δ = 1, so a network's derivatives are those of its activations.
#[derive(Clone, Debug)]
struct Sum;

impl<T: Scalar> Cost<T> for Sum {
    fn values(&self, at: &Outputs<'_, T>, values: &mut [T]) {
        for (k, value) in values.iter_mut().enumerate() {
            *value = at.a.column(k).sum();
        }
    }

    fn delta(&self, _: &Outputs<'_, T>, mut delta: DMatrixViewMut<'_, T>) {
        delta.fill(T::one());
    }

    fn delta_tangent(
        &self,
        _: &Outputs<'_, T>,
        _: DMatrixView<'_, T>,
        mut delta_tangent: DMatrixViewMut<'_, T>,
    ) -> Result<(), Error> {
        delta_tangent.fill(T::zero());
        Ok(())
    }
}

/// The worst error of each of g, g′ and g″, and where it occurs.
#[derive(Default)]
struct Worst([(f64, String); 3]);

impl Worst {
    fn take(&mut self, i: usize, found: f64, exact: Exact, at: &dyn Fn() -> String) {
        let error = exact.error(found);
        if error > self.0[i].0 || error.is_nan() {
            self.0[i] = (error, format!("{}: {found:e}, {error:.2} units off", at()));
        }
        let message = &self.0[i].1;
        assert!(self.0[i].0 <= LIMIT, "derivative {i} of {message}");
    }
}

fn by_the_trait<T: Scalar + Into<f64>>(reference: &Reference<T>, worst: &mut Worst) {
    let g = reference.activation;
    let z = DMatrix::from_row_slice(1, reference.z.len(), &reference.z);
    let one = z.map(|_| T::one());
    let found = [
        (0, value(g, &z)),
        (1, slope(g, &z)),
        (1, forward_tangent(g, &z, &one)),
        (2, curvature(g, &z)),
    ];
    for (order, found) in found {
        for (j, &found) in found.iter().enumerate() {
            let found: f64 = found.into();
            match reference.exact[j][order] {
                Some(exact) => worst.take(order, found, exact, &|| format!("{g:?} at {}", z[j])),
                // With δ̇ = 0 an infinite g′ leaves NaN.
                None if order == 2 => assert!(!found.is_finite(), "{g:?} at {}", z[j]),
                None => assert_eq!(found, f64::INFINITY, "{g:?} at {}", z[j]),
            }
        }
    }
}

/// All weights are 1 and all biases 0, so z is the input in each layer that contains `g`.
fn by_networks<T: Scalar + Into<f64>>(reference: &Reference<T>, worst: &mut Worst) {
    let (g, objective) = (reference.activation, Objective::new(Sum));
    let (zero, one) = (T::zero(), T::one());
    let theta = [zero, one, zero, one];
    let hidden = Network::builder(1).dense(1, g).dense(1, Identity);
    let hidden = hidden.with_theta(&theta).unwrap();
    let last = Network::builder(1)
        .dense(1, g)
        .with_theta(&theta[..2])
        .unwrap();
    let direction = [one, zero, zero, zero];
    for (&z, &exact) in reference.z.iter().zip(&reference.exact) {
        let [Some(exact), Some(slope), Some(bend)] = exact else {
            continue; // a network reports that overflow as an error
        };
        let x = DMatrix::repeat(1, 1, z);
        let by_weight: f64 = (super::slope(g, &x)[0] * z).into();
        if !by_weight.is_finite() {
            continue; // ∂/∂Θ = g′ z overflows, which is an error too
        }
        let cotangent = DMatrix::repeat(1, 1, one);
        let examples = Examples::new(&x, &x).unwrap();
        let mut take = |order, found: T, exact, what: &str| {
            let at = || format!("{g:?} at {z}, {what}");
            worst.take(order, found.into(), exact, &at);
        };
        for (network, what) in [(&hidden, "hidden"), (&last, "last")] {
            let (by_theta, by_x) = network.vjp(&x, &cotangent).unwrap();
            let v = &direction[..by_theta.len()];
            let bends = network.hessian_product(&examples, &objective, v).unwrap();
            take(0, network.forward(&x).unwrap()[0], exact, what);
            take(1, by_theta[0], slope, what);
            take(1, by_x[0], slope, what);
            take(2, bends[0], bend, what);
            if by_theta.len() == 4 {
                take(0, by_theta[3], exact, "the fused value");
                take(1, bends[3], slope, "with curvature");
            }
        }
    }
}

fn within_4_units<T: Scalar + Into<f64>>(text: &str, from_bits: impl Fn(u64) -> T) {
    for reference in references(text, from_bits) {
        let mut worst = Worst::default();
        by_the_trait(&reference, &mut worst);
        by_networks(&reference, &mut worst);
        let [g, slope, bend] = worst.0.map(|(error, _)| error);
        let name = format!("{:?}", reference.activation);
        println!("{name:22} {g:5.2} {slope:5.2} {bend:5.2}");
    }
}

#[test]
fn f64_is_within_4_units() {
    within_4_units(include_str!("ulps_f64.txt"), f64::from_bits);
}

#[test]
fn f32_is_within_4_units() {
    within_4_units(include_str!("ulps_f32.txt"), |bits| {
        f32::from_bits(u32::try_from(bits).unwrap())
    });
}

/// A view with gaps between its columns uses the same kernels.
#[test]
fn views_with_gaps_have_the_same_bits() {
    let whole = DMatrix::from_fn(5, 7, |i, j| (3 * i + 5 * j) as f64 * 1.1 - 38.0);
    for g in elementwise() {
        let z = whole.rows(1, 3);
        let (a, packed) = (value(g, &whole), z.clone_owned());
        let mut wide = DMatrix::repeat(5, 7, 1.0);
        let mut part = wide.rows_mut(1, 3);
        g.backward(z.as_view(), a.rows(1, 3).as_view(), part.as_view_mut());
        assert_eq!(part.clone_owned(), slope(g, &packed), "{g:?}");
        g.forward(z.as_view(), part.as_view_mut());
        assert_eq!(part.clone_owned(), value(g, &packed), "{g:?}");
        let one = packed.map(|_| 1.0);
        let (mut delta, mut moved) = (DMatrix::repeat(5, 7, 1.0), DMatrix::zeros(5, 7));
        let done = g.backward_tangent(
            z.as_view(),
            a.rows(1, 3).as_view(),
            one.as_view(),
            delta.rows_mut(1, 3).as_view_mut(),
            moved.rows_mut(1, 3).as_view_mut(),
        );
        assert_eq!(done, Ok(()));
        assert_eq!(
            moved.rows(1, 3).clone_owned(),
            curvature(g, &packed),
            "{g:?}"
        );
    }
}
