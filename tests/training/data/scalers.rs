//! Scalers: values by hand, values of scikit-learn, and round trips.

use super::{VALUES, example_columns, list, uniform};
use backprop::data::{MinMaxScaler, Scaler, Standardizer};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::rng;
use num_dual::Dual64;

/// Equal up to a few rounding errors of numbers of this size.
#[track_caller]
fn close(what: &str, found: f64, expected: f64, size: f64) {
    let bound = 8.0 * f64::EPSILON * size;
    let off = (found - expected).abs();
    assert!(
        off <= bound,
        "{what}: {found} and {expected}, {off:e} > {bound:e}"
    );
}

#[test]
fn by_hand() {
    // Mean 5, squares 9, 1, 1, 1, 0, 0, 4, 16: the population variance is 4.
    let x = dmatrix![2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    let scaler = Standardizer::fit(&x).unwrap();
    assert_eq!(
        (scaler.means(), scaler.deviations()),
        (&[5.0][..], &[2.0][..])
    );
    let z = dmatrix![-1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 1.0, 2.0];
    assert_eq!(scaler.apply(&x).unwrap(), z);
    assert_eq!(scaler.invert(&z).unwrap(), x);
    let mut into = DMatrix::zeros(1, 8);
    scaler.apply_into(&x, into.as_view_mut()).unwrap();
    assert_eq!(into, z);

    let scaler = MinMaxScaler::fit(&dmatrix![2.0, 10.0, 4.0]).unwrap();
    assert_eq!((scaler.minima(), scaler.ranges()), (&[2.0][..], &[8.0][..]));
    let (x, z) = (dmatrix![4.0, 0.0], dmatrix![0.25, -0.25]);
    assert_eq!(scaler.apply(&x).unwrap(), z);
    assert_eq!(scaler.invert(&z).unwrap(), x);
    let scaler = scaler.interval(-1.0, 3.0).unwrap();
    assert_eq!(scaler.apply(&x).unwrap(), dmatrix![0.0, -2.0]);
    assert_eq!(scaler.invert(&dmatrix![0.0, -2.0]).unwrap(), x);
}

/// One example, or several equal ones, have a standard deviation of 0. They map to 0, whatever
/// their size.
#[test]
fn constant_rows_are_divided_by_1() {
    for value in [0.0, -0.0, 0.1, -1e300, 5e-324, 1e8 + 0.1] {
        for m in [1, 2, 3, 1000] {
            let x = DMatrix::repeat(2, m, value);
            let scaler = Standardizer::fit(&x).unwrap();
            assert_eq!(scaler.means(), [value; 2]);
            assert_eq!(scaler.deviations(), [1.0; 2]);
            assert_eq!(scaler.apply(&x).unwrap(), DMatrix::zeros(2, m));
            let scaler = MinMaxScaler::fit(&x).unwrap();
            assert_eq!(scaler.ranges(), [1.0; 2]);
            assert_eq!(scaler.apply(&x).unwrap(), DMatrix::zeros(2, m));
            let scaler = scaler.interval(2.0, 3.0).unwrap();
            assert_eq!(scaler.apply(&x).unwrap(), DMatrix::repeat(2, m, 2.0));
        }
    }
    // Values that differ, however little, are not constant.
    let x = dmatrix![0.3, 0.1 + 0.2];
    assert_ne!(x[0], x[1]);
    let scaler = Standardizer::fit(&x).unwrap();
    assert_eq!(scaler.apply(&x).unwrap(), dmatrix![-1.0, 1.0]);
    assert_eq!(scaler.invert(&dmatrix![-1.0, 1.0]).unwrap(), x);
    let scaler = MinMaxScaler::fit(&x).unwrap();
    assert_eq!(scaler.apply(&x).unwrap(), dmatrix![0.0, 1.0]);
}

/// Rows of tiny or huge values, or far from 0, keep their precision.
#[test]
fn sizes_do_not_matter() {
    let row = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    for exponent in [-1000, -600, -60, 0, 60, 600, 1000] {
        let scale = 2.0_f64.powi(exponent);
        let x = DMatrix::from_row_slice(1, 8, &row.map(|x| x * scale));
        let scaler = Standardizer::fit(&x).unwrap();
        assert_eq!(scaler.means(), [5.0 * scale]);
        assert_eq!(scaler.deviations(), [2.0 * scale]);
        assert_eq!(MinMaxScaler::fit(&x).unwrap().ranges(), [7.0 * scale]);
    }
    for offset in [1e3, -1e9, 1e15] {
        let x = DMatrix::from_row_slice(1, 8, &row.map(|x| x + offset));
        let scaler = Standardizer::fit(&x).unwrap();
        assert_eq!(scaler.means(), [5.0 + offset]);
        assert_eq!(scaler.deviations(), [2.0]);
    }
    // A long row: a million numbers, 0 to 7 repeated.
    let x = DMatrix::from_fn(1, 1 << 20, |_, k| 1e6 + (k % 8) as f64);
    let scaler = Standardizer::fit(&x).unwrap();
    close("mean", scaler.means()[0], 1e6 + 3.5, 1e6);
    // 512 additions in each of 2048 blocks.
    close("deviation", scaler.deviations()[0], 5.25_f64.sqrt(), 100.0);
    let single = Standardizer::fit(&x.map(|x| (x - 1e6) as f32)).unwrap();
    assert_eq!(single.means(), [3.5]);
    assert_eq!(single.deviations(), [5.25_f32.sqrt()]);
}

#[test]
fn statistics_and_rows_of_scikit_learn() {
    let (x, new) = (
        example_columns(&VALUES["x"]),
        example_columns(&VALUES["new"]),
    );
    // Rounding errors of z = (x − shift)/divisor are relative to x/divisor and to z.
    // One value of row 4 differs in its last bit. scikit-learn treats the row as constant; here it
    // is not (see `rows_that_vary_by_a_bit` in `exact.rs`).
    let compare = |what: &str, found: &DMatrix<f64>, x: &DMatrix<f64>, divisors: &[f64]| {
        let matrix = example_columns(VALUES.pointer(what).unwrap());
        assert_eq!(found.shape(), matrix.shape());
        for ((i, k), expected) in places(&matrix).filter(|((i, _), _)| *i != 4) {
            let size =
                (x[(i, k)] / divisors[i]).abs() + 1e8 * f64::from(i == 2) + expected.abs() + 1.0;
            close(&format!("{what} {i} {k}"), found[(i, k)], expected, size);
        }
    };

    let scaler = Standardizer::fit(&x).unwrap();
    let means: Vec<f64> = list(&VALUES["standard"]["mean"]);
    let deviations: Vec<f64> = list(&VALUES["standard"]["scale"]);
    for i in [0, 1, 2, 3, 5] {
        close(
            "mean",
            scaler.means()[i],
            means[i],
            means[i].abs() + deviations[i],
        );
        // For the row with offset 1e8, scikit-learn is exact only to 1e-8.
        let size = if i == 2 { 1e8 } else { deviations[i] };
        close("deviation", scaler.deviations()[i], deviations[i], size);
    }
    assert_eq!((scaler.deviations()[3], scaler.deviations()[5]), (1.0, 1.0));
    compare(
        "/standard/x",
        &scaler.apply(&x).unwrap(),
        &x,
        scaler.deviations(),
    );
    compare(
        "/standard/new",
        &scaler.apply(&new).unwrap(),
        &new,
        scaler.deviations(),
    );

    let scaler = MinMaxScaler::fit(&x).unwrap();
    assert_eq!(scaler.minima(), list::<f64>(&VALUES["min_max"]["data_min"]));
    compare(
        "/min_max/x",
        &scaler.apply(&x).unwrap(),
        &x,
        scaler.ranges(),
    );
    compare(
        "/min_max/new",
        &scaler.apply(&new).unwrap(),
        &new,
        scaler.ranges(),
    );
    let wide = scaler.clone().interval(-1.0, 2.0).unwrap();
    let thirds: Vec<f64> = scaler.ranges().iter().map(|range| range / 3.0).collect();
    compare("/interval/x", &wide.apply(&x).unwrap(), &x, &thirds);
    compare("/interval/new", &wide.apply(&new).unwrap(), &new, &thirds);
}

/// Returns the entries with their places.
fn places(matrix: &DMatrix<f64>) -> impl Iterator<Item = ((usize, usize), f64)> {
    let rows = matrix.nrows();
    let entries = matrix.iter().enumerate();
    entries.map(move |(at, &x)| ((at % rows, at / rows), x))
}

/// Random rows of any scale and offset get mean 0 and standard deviation 1, or fill the interval,
/// and map back.
#[test]
fn invert_undoes_apply() {
    let mut rng = rng(11);
    for _ in 0..500 {
        let rows = 1 + (4.0 * uniform(&mut rng).abs()) as usize;
        let m = 2 + (30.0 * uniform(&mut rng).abs()) as usize;
        let scales: Vec<(f64, f64)> = (0..rows)
            .map(|_| {
                let scale = 10.0_f64.powf(9.0 * uniform(&mut rng));
                (scale, 100.0 * scale * uniform(&mut rng))
            })
            .collect();
        let x = DMatrix::from_fn(rows, m, |i, _| {
            scales[i].1 + scales[i].0 * uniform(&mut rng)
        });
        let standard = Standardizer::fit(&x).unwrap();
        let z = standard.apply(&x).unwrap();
        for row in z.row_iter() {
            let mean = row.sum() / m as f64;
            let variance = row.iter().map(|z| z * z).sum::<f64>() / m as f64;
            assert!(mean.abs() < 1e-11 && (variance - 1.0).abs() < 1e-11, "{x}");
        }
        let a = uniform(&mut rng);
        let b = a + 0.5 + uniform(&mut rng).abs();
        let min_max = MinMaxScaler::fit(&x).unwrap().interval(a, b).unwrap();
        let s = min_max.apply(&x).unwrap();
        for row in s.row_iter() {
            close("least", row.min(), a, 2.0);
            close("largest", row.max(), b, 4.0);
        }
        let backs = [standard.invert(&z).unwrap(), min_max.invert(&s).unwrap()];
        for back in backs {
            for ((i, k), x) in places(&x) {
                close("back", back[(i, k)], x, x.abs() + 100.0 * scales[i].0);
            }
        }
        // The same bits in the caller's buffer.
        let mut into = DMatrix::repeat(rows, m, f64::NAN);
        standard.apply_into(&x, into.as_view_mut()).unwrap();
        assert_eq!(into, z);
        min_max.apply_into(&x, into.as_view_mut()).unwrap();
        assert_eq!(into, s);
        standard.invert_into(&z, into.as_view_mut()).unwrap();
        assert_eq!(into, standard.invert(&z).unwrap());
        min_max.invert_into(&s, into.as_view_mut()).unwrap();
        assert_eq!(into, min_max.invert(&s).unwrap());
        // Known statistics give the same scaler, up to the rounding errors of the means.
        let (means, deviations) = (standard.means().to_vec(), standard.deviations().to_vec());
        let again = Standardizer::new(means, deviations).unwrap();
        let statistics = (standard.means(), standard.deviations());
        assert_eq!((again.means(), again.deviations()), statistics);
        let (minima, ranges) = (min_max.minima().to_vec(), min_max.ranges().to_vec());
        let again = MinMaxScaler::new(minima, ranges).unwrap();
        assert_eq!(again.interval(a, b).unwrap(), min_max);
    }
}

/// Statistics carry no derivative. Scaled numbers have the derivative 1/σ.
#[test]
fn dual_numbers_are_scaled() {
    let x = dmatrix![2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].map(|x| Dual64::new(x, 1.0));
    let scaler = Standardizer::fit(&x).unwrap();
    let z = scaler.apply(&x).unwrap();
    assert_eq!((z[7].re, z[7].eps), (2.0, 0.5));
    let z = MinMaxScaler::fit(&x).unwrap().apply(&x).unwrap();
    assert_eq!((z[7].re, z[7].eps), (1.0, 1.0 / 7.0));
}

/// Scales a view of some rows and columns into another view.
#[test]
fn views_are_scaled() {
    let x = DMatrix::from_fn(4, 6, |i, k| ((i + 1) * k) as f64);
    let part = x.view((1, 2), (2, 3));
    let scaler = Standardizer::fit(part).unwrap();
    assert_eq!(scaler.means(), [6.0, 9.0]);
    let mut out = DMatrix::repeat(5, 5, 7.0);
    scaler
        .apply_into(part, out.view_mut((1, 1), (2, 3)))
        .unwrap();
    assert_eq!(out.view((1, 1), (2, 3)), scaler.apply(part).unwrap());
    assert_eq!(out.iter().filter(|&&x| x == 7.0).count(), 19);
    let single = scaler.apply(part.column(1)).unwrap();
    assert_eq!(single, dmatrix![0.0; 0.0]);
}

#[test]
fn boxed_scalers_scale_alike() {
    let x = dmatrix![1.0, 3.0, 8.0; -2.0, 0.5, 4.0];
    let plain = Standardizer::fit(&x).unwrap();
    let boxed: Vec<Box<dyn Scaler<f64>>> = vec![
        Box::new(plain.clone()),
        Box::new(MinMaxScaler::fit(&x).unwrap()),
    ];
    assert_eq!(boxed[0].apply(&x), plain.apply(&x));
    for scaler in &boxed {
        assert_eq!(scaler.rows(), 2);
        let z = scaler.apply(&x).unwrap();
        let mut back = x.clone();
        scaler.invert_into(&z, back.as_view_mut()).unwrap();
        assert!((back - &x).amax() < 1e-15);
        assert_eq!(scaler.scale(1, x[(1, 2)]), z[(1, 2)]);
    }
}
