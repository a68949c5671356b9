//! Gaussian noise: its distribution, its independence, and what it depends on.

use super::{drawn, trained, wave_matrix};
use backprop::activation::{Identity, Tanh};
use backprop::layer::GaussianNoise;
use backprop::nalgebra::{DMatrix, convert};
use backprop::{Builder, Error, Network, Scalar};
use num_dual::Dual64;

/// Returns the standard normal numbers of n units and m examples.
fn normal(seed: u64, (n, m): (usize, usize)) -> DMatrix<f64> {
    let x = DMatrix::zeros(n, m);
    drawn::<f64>(&GaussianNoise::new(1.0), (seed, 0), x.as_view())
}

/// Moments and tails of 10⁶ numbers, to five standard errors.
#[test]
fn noise_is_normal() {
    for seed in [0, 1, 99] {
        let numbers = normal(seed, (1000, 1000));
        let n = numbers.len() as f64;
        let moment = |p: i32| numbers.iter().map(|x| x.powi(p)).sum::<f64>() / n;
        // E[xᵖ] and the variance of xᵖ: 0, 1, 0, 3 and 1, 2, 15, 96.
        for (p, mean, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let found = moment(p);
            let error = (variance / n as f64).sqrt();
            assert!((found - mean).abs() < 5.0 * error, "moment {p}: {found}");
        }
        for (limit, beyond) in [
            (0.5, 0.617_075_077_451_973_9),
            (1.0, 0.317_310_507_862_914_1),
            (2.0, 0.045_500_263_896_358_42),
            (3.0, 0.002_699_796_063_260_19),
            (4.0, 6.334_248_366_623_993e-5),
        ] {
            for sign in [1.0, -1.0] {
                let count = numbers.iter().filter(|&&x| sign * x > limit).count() as f64;
                let (expected, share) = (n * beyond / 2.0, beyond / 2.0);
                let error = (expected * (1.0 - share)).sqrt();
                assert!(
                    (count - expected).abs() < 5.0 * error,
                    "beyond {limit}: {count}"
                );
            }
        }
    }
}

#[test]
fn noise_is_independent() {
    let (n, m) = (500, 1000);
    let first = normal(1, (n, m));
    let x = first.as_slice();
    let unrelated = |what: &str, a: &[f64], b: &[f64]| {
        let pairs = a.iter().zip(b);
        let size = 5.0 * (a.len() as f64).sqrt();
        let sum: f64 = pairs.clone().map(|(a, b)| a * b).sum();
        // Of the squares too: neighbours may not share their size.
        let squares: f64 = pairs.map(|(a, b)| (a * a - 1.0) * (b * b - 1.0)).sum();
        assert!(
            sum.abs() < size && squares.abs() < 2.0 * size,
            "{what}: {sum}, {squares}"
        );
    };
    for lag in [1, 2, 3, 4, 8, 64, 128, n, 2 * n] {
        unrelated("entries", &x[lag..], &x[..x.len() - lag]);
    }
    for seed in [0, 2, 1 << 40] {
        let other = normal(seed, (n, m));
        unrelated("seeds", x, other.as_slice());
        unrelated("moved seeds", &x[1..], &other.as_slice()[..x.len() - 1]);
        unrelated("moved seeds", &other.as_slice()[1..], &x[..x.len() - 1]);
    }
}

/// The same numbers for every scalar, for any cut of the batch, and alone.
#[test]
fn noise_follows_from_seed_and_example() {
    let layer = GaussianNoise::new(0.5);
    let x = wave_matrix(33, 20, 0.4);
    let whole = drawn::<f64>(&layer, (8, 0), x.as_view());
    assert_eq!(drawn::<f64>(&layer, (8, 0), x.as_view()), whole);
    assert_ne!(drawn::<f64>(&layer, (9, 0), x.as_view()), whole);
    for cut in 1..20 {
        let (left, right) = (x.columns(0, cut), x.columns(cut, 20 - cut));
        assert_eq!(drawn::<f64>(&layer, (8, 0), left), whole.columns(0, cut));
        assert_eq!(
            drawn::<f64>(&layer, (8, cut), right),
            whole.columns(cut, 20 - cut)
        );
    }
    let zero = DMatrix::zeros(33, 20);
    let noise = drawn::<f64>(&layer, (8, 0), zero.as_view());
    assert_eq!(&x + &noise, whole);
    fn found<T: Scalar>(layer: &GaussianNoise) -> DMatrix<T> {
        let zero = DMatrix::repeat(33, 20, T::zero());
        drawn::<T>(layer, (8, 0), zero.as_view())
    }
    assert_eq!(found::<f32>(&layer), noise.map(|n| n as f32));
    assert_eq!(found::<Dual64>(&layer), noise.map(convert::<f64, Dual64>));
}

#[test]
fn evaluation_and_sigma_of_zero_add_nothing() {
    let x = wave_matrix(6, 4, 0.1);
    let network = |sigma| -> Network<f64> {
        Builder::<f64>::new(6)
            .gaussian_noise(sigma)
            .zeros()
            .unwrap()
    };
    assert_eq!(network(0.5).forward(&x).unwrap(), x);
    let mut workspace = trained(4);
    assert_eq!(network(0.0).forward_into(&x, &mut workspace).unwrap(), x);
    assert_ne!(network(0.5).forward_into(&x, &mut workspace).unwrap(), x);
}

#[test]
fn given_numbers_take_the_place_of_the_seed() {
    let network = Builder::<f64>::new(2).gaussian_noise(0.5).zeros().unwrap();
    let given = DMatrix::from_row_slice(2, 2, &[1.0, -2.0, 0.0, 4.0]);
    let mut workspace = trained(5);
    workspace.set_random_numbers(0, &given).unwrap();
    let x = DMatrix::repeat(2, 2, 1.0);
    let a = network.forward_into(&x, &mut workspace).unwrap();
    assert_eq!(a, DMatrix::from_row_slice(2, 2, &[1.5, 0.0, 1.0, 3.0]));
}

#[test]
fn sigma_out_of_range_is_refused() {
    fn refused<T: Scalar>(sigma: f64) {
        let found = Builder::<T>::new(3).dense(2, Tanh).gaussian_noise(sigma);
        let found = found.dense(1, Identity).zeros();
        let Err(Error::Hyperparameter { value, .. }) = found else {
            panic!("{sigma}: {found:?}");
        };
        assert_eq!(value.to_bits(), sigma.to_bits());
    }
    for sigma in [-0.1, f64::NAN, f64::INFINITY, f64::MAX, -f64::MIN_POSITIVE] {
        refused::<f64>(sigma);
    }
    refused::<f32>(1e38);
    // The largest σ that is accepted overflows nothing.
    let network = Builder::<f32>::new(1000)
        .gaussian_noise(4e37)
        .zeros()
        .unwrap();
    let x = DMatrix::zeros(1000, 10);
    network.forward_into(&x, &mut trained(1)).unwrap();
}
