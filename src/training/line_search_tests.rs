//! The six functions of Moré and Thuente 1994, section 5, with the steps that SciPy 1.17 takes on
//! them (`scipy.optimize._dcsrch`, another implementation), and functions that overflow.

use super::{Sample, Wolfe};
use std::f64::consts::PI;

/// φ and φ′ at a step.
type Function = Box<dyn Fn(f64) -> (f64, f64)>;

struct Case {
    phi: Function,
    decrease: f64,
    curvature: f64,
    /// For each first step, the number of evaluations and the accepted step.
    expected: [(usize, f64); 4],
}

fn search(wolfe: Wolfe, phi: &dyn Fn(f64) -> (f64, f64), first: f64) -> (Option<Sample>, usize) {
    let (value, slope) = phi(0.0);
    let start = Sample {
        step: 0.0,
        value,
        slope,
    };
    let mut count = 0;
    let found = wolfe.search(start, first, |step| {
        count += 1;
        let (value, slope) = phi(step);
        let finite = value.is_finite() && slope.is_finite();
        Ok::<_, ()>(finite.then_some(Sample { step, value, slope }))
    });
    (found.unwrap(), count)
}

fn wolfe(decrease: f64, curvature: f64) -> Wolfe {
    Wolfe {
        decrease,
        curvature,
        width: 1e-14,
        resolution: 0.0,
    }
}

fn rational() -> Function {
    Box::new(|a| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2)))
}

fn quintic() -> Function {
    Box::new(|a| {
        let b = a + 0.004;
        let value = b.powi(5) - 2.0 * b.powi(4);
        (value, 5.0 * b.powi(4) - 8.0 * b.powi(3))
    })
}

fn oscillating() -> Function {
    let (beta, l) = (0.01, 39.0);
    Box::new(move |a| {
        let (value, slope) = if a <= 1.0 - beta {
            (1.0 - a, -1.0)
        } else if a >= 1.0 + beta {
            (a - 1.0, 1.0)
        } else {
            (
                (a - 1.0).powi(2) / (2.0 * beta) + beta / 2.0,
                (a - 1.0) / beta,
            )
        };
        let wave = 2.0 * (1.0 - beta) / (l * PI) * (l * PI / 2.0 * a).sin();
        (
            value + wave,
            slope + (1.0 - beta) * (l * PI / 2.0 * a).cos(),
        )
    })
}

fn convex(b1: f64, b2: f64) -> Function {
    let gamma = |b: f64| (1.0 + b * b).sqrt() - b;
    let (g1, g2) = (gamma(b1), gamma(b2));
    Box::new(move |a| {
        let (left, right) = ((1.0 - a).hypot(b2), a.hypot(b1));
        let slope = g2 * a / right - g1 * (1.0 - a) / left;
        (g1 * left + g2 * right, slope)
    })
}

#[test]
fn steps_are_those_of_another_implementation() {
    let firsts = [1e-3, 0.1, 10.0, 1000.0];
    let cases = [
        Case {
            phi: rational(),
            decrease: 1e-3,
            curvature: 0.1,
            expected: [
                (6, 1.365),
                (3, 1.4413720790892741),
                (1, 10.0),
                (4, 36.88760696396662),
            ],
        },
        Case {
            phi: quintic(),
            decrease: 0.1,
            curvature: 0.1,
            expected: [
                (12, 1.596000000186075),
                (8, 1.5960000000049348),
                (8, 1.5959999997572032),
                (11, 1.595999998872531),
            ],
        },
        Case {
            phi: oscillating(),
            decrease: 0.1,
            curvature: 0.1,
            expected: [
                (12, 0.9999996797968318),
                (12, 0.9999988033548208),
                (10, 0.9999999876178056),
                (13, 0.9999999017146377),
            ],
        },
        Case {
            phi: convex(1e-3, 1e-3),
            decrease: 1e-3,
            curvature: 1e-3,
            expected: [
                (4, 0.085),
                (1, 0.1),
                (3, 0.3491046164172457),
                (4, 0.8294012431694555),
            ],
        },
        Case {
            phi: convex(0.01, 1e-3),
            decrease: 1e-3,
            curvature: 1e-3,
            expected: [
                (6, 0.07501087060006814),
                (3, 0.07751042197802409),
                (7, 0.07314201106894994),
                (8, 0.07615927320141007),
            ],
        },
        Case {
            phi: convex(1e-3, 0.01),
            decrease: 1e-3,
            curvature: 1e-3,
            expected: [
                (13, 0.9279032286386139),
                (11, 0.9261500138380064),
                (8, 0.924781673432206),
                (11, 0.9243979067536415),
            ],
        },
    ];
    for (number, case) in (1..).zip(cases) {
        let Case {
            phi,
            decrease,
            curvature,
            expected,
        } = case;
        for (first, (count, step)) in firsts.into_iter().zip(expected) {
            let (found, evaluations) = search(wolfe(decrease, curvature), &*phi, first);
            let found = found.unwrap();
            assert_eq!(evaluations, count, "function {number} from {first}");
            assert!(
                (found.step / step - 1.0).abs() < 1e-6,
                "{number}: {found:?}"
            );
            let (value, slope) = phi(0.0);
            assert!(found.value <= value + decrease * found.step * slope);
            assert!(found.slope.abs() <= curvature * slope.abs());
        }
    }
}

/// φ(α) = e^(kα) − 2kα overflows beyond α = 709/k; its minimum is at ln(2)/k.
#[test]
fn a_step_that_overflows_is_shortened() {
    for k in [1.0_f64, 1e3, 1e8, 1e40] {
        let phi = |a: f64| ((k * a).exp() - 2.0 * k * a, k * ((k * a).exp() - 2.0));
        let (found, _) = search(wolfe(1e-3, 0.9), &phi, 1000.0);
        let found = found.unwrap();
        assert!(found.value < 1.0, "{found:?}");
        assert!(found.slope.abs() <= 0.9 * k, "{found:?}");
    }
    // A wall to the right of the start: every step beyond it is refused, and the best step below it
    // is returned.
    let wall = |a: f64| if a > 0.3 { (f64::NAN, 0.0) } else { (-a, -1.0) };
    let (found, _) = search(wolfe(1e-3, 0.9), &wall, 1.0);
    let found = found.unwrap();
    assert!((0.29..=0.3).contains(&found.step), "{found:?}");
}

#[test]
fn a_search_without_descent_finds_nothing() {
    let up = |a: f64| (a, 1.0);
    assert_eq!(search(wolfe(1e-3, 0.9), &up, 1.0), (None, 0));
    let flat = |_: f64| (1.0, 0.0);
    assert_eq!(search(wolfe(1e-3, 0.9), &flat, 1.0), (None, 0));
    let nan = |_: f64| (1.0, f64::NAN);
    assert_eq!(search(wolfe(1e-3, 0.9), &nan, 1.0), (None, 0));
    // The slope is wrong: J increases along it everywhere.
    let wrong = |a: f64| (a, if a == 0.0 { -1.0 } else { 1.0 });
    assert_eq!(search(wolfe(1e-3, 0.9), &wrong, 1.0).0, None);
    // Only the start is finite.
    let nowhere = |a: f64| {
        if a == 0.0 {
            (0.0, -1.0)
        } else {
            (f64::INFINITY, 0.0)
        }
    };
    let (found, count) = search(wolfe(1e-3, 0.9), &nowhere, 1.0);
    assert_eq!((found, count), (None, super::OVERFLOWS as usize));
}

/// Below the resolution of φ, only the curvature condition applies, and φ never increases.
#[test]
fn rounding_does_not_end_a_search() {
    let phi = |a: f64| (1.0, 1e-13 * (a - 1.0));
    let rounded = Wolfe {
        resolution: 1e-15,
        ..wolfe(1e-3, 0.1)
    };
    let (found, _) = search(rounded, &phi, 1.0);
    assert_eq!(
        found.map(|found| (found.step, found.value)),
        Some((1.0, 1.0))
    );
    assert_eq!(search(wolfe(1e-3, 0.1), &phi, 1.0).0, None);
}
