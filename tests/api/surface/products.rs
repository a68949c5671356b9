//! A custom layer with the products of a dense layer.

use backprop::activation::Identity;
use backprop::gradient_check::GradientCheck;
use backprop::layer::{
    Affine, Backward, BackwardTangent, Block, Dense, Forward, ForwardTangent, Layer, LayerGradient,
    Plan, Site,
};
use backprop::nalgebra::DMatrix;
use backprop::{Error, Examples, Location, Network, Objective, Scalar, SquaredError};
use num_dual::Dual64;

/// z = Θ [1; x] with products alone.
#[derive(Clone, Debug, PartialEq)]
struct Linear(Affine);

impl<T: Scalar> Layer<T> for Linear {
    fn plan(&self, site: Site) -> Result<Plan, Error> {
        let Affine { units, inputs, .. } = self.0;
        let block = Block::new("Θ", units, inputs + 1).penalised_from_column(1);
        Ok(Plan::new(site, units).block(block).product(self.0))
    }

    fn forward(&self, mut pass: Forward<'_, T>) {
        let (theta, x) = (pass.at.theta, &pass.input);
        self.0.affine(theta, x, &mut pass.output, pass.scratch);
    }

    fn backward(&self, pass: Backward<'_, T>) {
        let (delta, x) = (pass.delta.as_view(), &pass.input);
        if let LayerGradient::Sum(gradient) = pass.gradient {
            self.0.outer(&delta, x, gradient, pass.scratch);
        }
        if let Some(mut below) = pass.input_delta {
            self.0
                .transposed(pass.at.theta, &delta, &mut below, pass.scratch);
        }
    }

    fn forward_tangent(&self, mut pass: ForwardTangent<'_, T>) -> Result<(), Error> {
        match pass.theta_tangent {
            Some(theta) => {
                let to = &mut pass.output_tangent;
                self.0.affine(theta, &pass.input, to, pass.scratch);
            }
            None => pass.output_tangent.fill(T::zero()),
        }
        if let Some(x) = &pass.input_tangent {
            let (theta, to) = (pass.at.theta, &mut pass.output_tangent);
            self.0.add_linear(theta, x, to, pass.scratch);
        }
        Ok(())
    }

    fn backward_tangent(&self, along: BackwardTangent<'_, T>) -> Result<(), Error> {
        let pass = along.pass;
        let (delta, dot) = (pass.delta.as_view(), along.delta_tangent.as_view());
        let (theta, x) = (pass.at.theta, &pass.input);
        if let Some(gradient) = along.gradient_tangent {
            self.0.outer(&dot, x, gradient, pass.scratch);
            if let Some(x) = &along.input_tangent {
                self.0.add_outer(&delta, x, gradient, pass.scratch);
            }
        }
        if let Some(mut below) = along.input_delta_tangent {
            self.0.transposed(theta, &dot, &mut below, pass.scratch);
            if let Some(theta) = along.theta_tangent {
                self.0
                    .add_transposed(theta, &delta, &mut below, pass.scratch);
            }
        }
        if let LayerGradient::Sum(gradient) = pass.gradient {
            self.0.outer(&delta, x, gradient, pass.scratch);
        }
        if let Some(mut below) = pass.input_delta {
            self.0.transposed(theta, &delta, &mut below, pass.scratch);
        }
        Ok(())
    }
}

const fn affine(units: usize, inputs: usize) -> Affine {
    Affine {
        units,
        inputs,
        columns: 1,
    }
}

fn wave<T: Scalar>(rows: usize, cols: usize) -> DMatrix<T> {
    DMatrix::from_fn(rows, cols, |i, j| {
        let place = (i + 3 * j) as f64;
        backprop::nalgebra::convert(place.sin())
    })
}

/// The layer has the bits of a dense one, in batches of every kind.
#[test]
fn the_bits_are_those_of_a_dense_layer() {
    for (sizes, m) in [
        ([3, 4, 2], 1),
        ([3, 4, 2], 7),
        ([40, 30, 20], 90),
        ([5, 9, 3], 700),
    ] {
        let [n, h, k] = sizes;
        let theta = wave::<f64>(h * (n + 1) + k * (h + 1), 1);
        let ours = vec![Linear(affine(h, n)), Linear(affine(k, h))];
        let ours = Network::from_layers(n, ours, theta.as_slice()).unwrap();
        let dense = vec![Dense::new(n, h, Identity), Dense::new(h, k, Identity)];
        let dense = Network::from_layers(n, dense, theta.as_slice()).unwrap();
        let (x, y) = (wave(n, m), wave(k, m));
        let (examples, objective) = (Examples::new(&x, &y).unwrap(), Objective::new(SquaredError));
        let found = ours.gradients(&examples, &objective).unwrap();
        let expected = dense.gradients(&examples, &objective).unwrap();
        assert_eq!(found.0.gradient().vector(), expected.0.gradient().vector());
        assert_eq!(found.1, expected.1);
        let v: Vec<f64> = theta.iter().map(|v| v * 0.5 + 0.1).collect();
        let found = ours.hessian_product(&examples, &objective, &v).unwrap();
        let expected = dense.hessian_product(&examples, &objective, &v).unwrap();
        assert_eq!(found, expected);
    }
    let check = GradientCheck::new();
    let (theta, x) = (wave::<f64>(8, 1), wave::<f64>(3, 5));
    let layer = Linear(affine(2, 3));
    check
        .layer(&layer, theta.as_slice(), &x)
        .unwrap()
        .assert_passed();
    check
        .layer_tangents(&layer, theta.as_slice(), &x)
        .unwrap()
        .assert_passed();
}

/// Shapes that do not fit, and products without units, give NaN or nothing, and no panic.
fn shapes_that_do_not_fit<T: Scalar>() {
    let is_nan = |all: &[T]| all.iter().all(|x| x.partial_cmp(x).is_none());
    for (product, units, inputs, len, m) in [
        (affine(2, 3), 3, 3, 8, 4),
        (affine(2, 3), 2, 2, 8, 4),
        (affine(2, 3), 2, 3, 7, 4),
        (affine(0, 3), 0, 3, 0, 1),
        (affine(0, 3), 0, 3, 0, 4),
        (affine(2, usize::MAX), 2, 3, 8, 4),
        (affine(usize::MAX, 3), 2, 3, 8, 4),
    ] {
        let (theta, mut gradient) = (wave::<T>(len, 1), wave::<T>(len, 1));
        let (x, mut z) = (wave::<T>(inputs, m), wave::<T>(units, m));
        let (delta, mut below) = (wave::<T>(units, m), wave::<T>(inputs, m));
        let (theta, none) = (theta.as_slice(), &mut [][..]);
        for adds in [false, true] {
            let (delta, x) = (&delta.as_view(), &x.as_view());
            let (z, below) = (&mut z.as_view_mut(), &mut below.as_view_mut());
            if adds {
                product.add_linear(theta, x, z, none);
                product.add_outer(delta, x, gradient.as_mut_slice(), none);
                product.add_transposed(theta, delta, below, none);
            } else {
                product.affine(theta, x, z, none);
                product.outer(delta, x, gradient.as_mut_slice(), none);
                product.transposed(theta, delta, below, none);
            }
        }
        assert!(is_nan(z.as_slice()) && is_nan(gradient.as_slice()) && is_nan(below.as_slice()));
    }
}

#[test]
fn misfits_are_nan() {
    shapes_that_do_not_fit::<f64>();
    shapes_that_do_not_fit::<f32>();
    shapes_that_do_not_fit::<Dual64>();
    // A network reports where.
    let layers = vec![Linear(affine(2, 3))];
    let network = Network::from_layers(4, layers, &[0.5; 8]).unwrap();
    let expected = Location::Activation {
        layer: 0.into(),
        unit: 0,
        example: 0,
    };
    match network.forward(&[1.0; 4]) {
        Err(Error::NonFinite { at, .. }) => assert_eq!(at, expected),
        other => panic!("{other:?}"),
    }
}
