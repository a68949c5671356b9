//! Orthogonal weights, and the bits of the initialisers that use quantiles and decompositions.

#![allow(clippy::unwrap_used, reason = "test helpers may panic to fail tests")]

use backprop::activation::{Identity, Relu};
use backprop::nalgebra::DMatrix;
use backprop::{Builder, Initialization, Network, rng};

fn product_with_transpose(w: &DMatrix<f64>) -> DMatrix<f64> {
    match w.nrows() <= w.ncols() {
        true => w * w.transpose(),
        false => w.transpose() * w,
    }
}

/// W Wᵀ = gain² I, or Wᵀ W if there are more units than inputs. Biases are 0.
#[test]
fn orthogonal_weights_have_orthonormal_rows_or_columns() {
    for (inputs, units) in [
        (1, 1),
        (1, 7),
        (7, 1),
        (2, 2),
        (3, 8),
        (8, 3),
        (17, 17),
        (300, 200),
        (40, 90),
    ] {
        for gain in [1.0, 2.0_f64.sqrt(), 0.0, 1e-3] {
            let network = Network::<f64>::builder(inputs).dense(units, Relu);
            let rule = Initialization::Orthogonal { gain };
            let network = network.initialize(rule, &mut rng(3)).unwrap();
            let (w, bias) = network.dense_weights(0).unwrap();
            assert_eq!(bias.amax(), 0.0);
            let least = inputs.min(units);
            let expected = DMatrix::identity(least, least) * (gain * gain);
            let error = (product_with_transpose(&w) - expected).amax();
            let bound = 2e-15 * (least as f64).sqrt() * gain * gain;
            assert!(error <= bound, "{inputs} × {units}: {error:e}");
        }
    }
}

/// A single row, or column, is a normal vector divided by its length, with its signs.
#[test]
fn a_single_orthogonal_row_is_a_normal_vector() {
    for (inputs, units) in [(6, 1), (1, 6), (1, 1)] {
        let weights = |rule| {
            let network = Network::<f64>::builder(inputs).dense(units, Relu);
            let network = network.initialize(rule, &mut rng(8)).unwrap();
            network.dense_weights(0).unwrap().0
        };
        let normal = weights(Initialization::Normal { sigma: 1.0 });
        let found = weights(Initialization::Orthogonal { gain: 3.0 });
        let expected = normal.normalize() * 3.0;
        assert!(
            (&found - &expected).amax() <= 1e-15 * 3.0,
            "{found} {expected}"
        );
    }
}

/// For a uniformly distributed orthogonal matrix with two rows, the angle of each row is uniform,
/// and the determinant is 1 as often as −1. A Q without the sign fix fails both.
#[test]
fn all_orthogonal_matrices_are_equally_likely() {
    let (count, mut generator) = (20_000, rng(6));
    let (mut right, mut positive, mut quarters) = (0.0, 0.0, [0.0; 4]);
    for _ in 0..count {
        let network = Network::<f64>::builder(2).dense(2, Relu);
        let rule = Initialization::Orthogonal { gain: 1.0 };
        let network = network.initialize(rule, &mut generator).unwrap();
        let (w, _) = network.dense_weights(0).unwrap();
        right += f64::from(w.determinant() > 0.0);
        positive += f64::from(w[(1, 1)] > 0.0);
        let turn = w[(1, 0)].atan2(w[(0, 0)]) / std::f64::consts::TAU + 0.5;
        quarters[(4.0 * turn) as usize % 4] += 1.0;
    }
    let n = f64::from(count);
    for (found, share) in [(right, 0.5), (positive, 0.5)]
        .into_iter()
        .chain(quarters.map(|quarter| (quarter, 0.25)))
    {
        let error = (n * share * (1.0 - share)).sqrt();
        assert!((found - n * share).abs() < 5.0 * error, "{found} of {n}");
    }
}

/// The bits are pinned, and agree with an independent implementation in 50-digit arithmetic: of
/// xoshiro256++, quantiles and the process of Gram and Schmidt.
#[test]
fn the_other_rules_give_the_same_bits_everywhere() {
    let weights = |inputs, units, rule| {
        let network = Builder::<f64>::new(inputs).dense(units, Identity);
        let network = network.initialize(rule, &mut rng(42)).unwrap();
        network.dense_weights(0).unwrap().0
    };
    let close = |found: &DMatrix<f64>, exact: &[f64]| {
        for (found, exact) in found.iter().zip(exact) {
            assert!(
                (found - exact).abs() <= 4.0 * f64::EPSILON,
                "{found} {exact}"
            );
        }
    };
    let truncated = weights(5, 1, Initialization::TruncatedNormal { sigma: 1.0 });
    close(
        &truncated,
        &[
            0.841_636_157_395_650_9,
            -0.448_032_888_488_945_7,
            1.772_893_907_905_730_8,
            0.501_481_564_268_764_5,
            0.772_699_767_863_297_2,
        ],
    );
    let orthogonal = Initialization::Orthogonal { gain: 1.0 };
    let square = [
        0.559_234_965_225_052_1,
        -0.322_367_008_408_360_5,
        0.763_764_208_090_153_2,
        -0.016_463_089_352_061_99,
        -0.925_434_488_131_145_7,
        -0.378_549_831_417_781_03,
        0.828_845_715_654_44,
        0.199_124_383_407_177_05,
        -0.522_842_480_651_668_9,
    ];
    close(&weights(3, 3, orthogonal), &square);
    // Two inputs and three units have its first columns; three inputs and two units, these as rows.
    close(&weights(2, 3, orthogonal), &square[..6]);
    assert_eq!(
        weights(3, 2, orthogonal),
        weights(2, 3, orthogonal).transpose()
    );
    let pinned = [
        0.841_636_157_395_650_9,
        -0.448_032_888_488_945_74,
        1.772_893_907_905_730_9,
        0.501_481_564_268_764_4,
        0.772_699_767_863_297_3,
    ];
    assert_eq!(truncated.as_slice(), &pinned);
    let pinned = [
        0.559_234_965_225_052_1,
        -0.322_367_008_408_360_5,
        0.763_764_208_090_153_1,
        -0.016_463_089_352_062_01,
        -0.925_434_488_131_145_3,
        -0.378_549_831_417_780_87,
        0.828_845_715_654_439_5,
        0.199_124_383_407_176_84,
        -0.522_842_480_651_668_8,
    ];
    assert_eq!(weights(3, 3, orthogonal).as_slice(), &pinned);
}
