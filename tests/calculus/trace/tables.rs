//! The tables, word for word.

use backprop::activation::{Identity, Relu};
use backprop::nalgebra::{DMatrix, dmatrix};
use backprop::{Examples, Network, Objective, SquaredError, unroll};

/// Two examples and an identity unit after a hidden one. All numbers are multiples of ½.
#[test]
fn tables_are_aligned_and_in_the_notation_of_the_course() {
    let network = Network::<f64>::builder(1).dense(2, Relu).dense(1, Identity);
    let theta = [dmatrix![0.0, 1.0; 1.0, -10.0], dmatrix![0.5, 2.0, -1.0]];
    let network = network.with_theta(unroll(&theta).as_slice()).unwrap();
    let (x, y) = (dmatrix![1.0, -2.0], dmatrix![1.5, -21.5]);
    let objective = Objective::new(SquaredError).l2(2.0);
    let trace = network
        .trace(&Examples::new(&x, &y).unwrap(), &objective)
        .unwrap();
    let expected = "\
Forward. A row is a unit, a column an example.

a⁽¹⁾ = X (1 × 2)
   1.0  -2.0

Θ⁽¹⁾ (2 × 2)
    0.0    1.0
    1.0  -10.0

z⁽²⁾ = Θ⁽¹⁾ [1; a⁽¹⁾] (2 × 2)
   1.0  -2.0
  -9.0  21.0

a⁽²⁾ = g(z⁽²⁾), g = Relu (2 × 2)
   1.0   0.0
   0.0  21.0

Θ⁽²⁾ (1 × 3)
   0.5   2.0  -1.0

z⁽³⁾ = Θ⁽²⁾ [1; a⁽²⁾] (1 × 2)
    2.5  -20.5

a⁽³⁾ = g(z⁽³⁾), g = Identity (1 × 2)
    2.5  -20.5

y (1 × 2)
    1.5  -21.5

cost (1 × 2)
  0.5  0.5

J = (1/m) Σ cost + Ω/m = 0.5 + 53.0 = 53.5, m = 2

Backward.

δ⁽³⁾ = ∂cost/∂z⁽³⁾ (1 × 2)
  1.0  1.0

Δ⁽²⁾ = δ⁽³⁾ [1; a⁽²⁾]ᵀ (1 × 3)
   2.0   1.0  21.0

D⁽²⁾ = (Δ⁽²⁾ + λΘ⁽²⁾)/m, λ = 2, not in column 0 (1 × 3)
  1.0  2.5  9.5

δ⁽²⁾ = (W⁽²⁾ᵀ δ⁽³⁾) ∘ g′(z⁽²⁾) (2 × 2)
   2.0   0.0
   0.0  -1.0

Δ⁽¹⁾ = δ⁽²⁾ [1; a⁽¹⁾]ᵀ (2 × 2)
   2.0   2.0
  -1.0   2.0

D⁽¹⁾ = (Δ⁽¹⁾ + λΘ⁽¹⁾)/m, λ = 2, not in column 0 (2 × 2)
   1.0   2.0
  -0.5  -9.0";
    let found = format!("{trace:.1}");
    assert_eq!(found, expected);
    assert!(trace.to_string().contains("\n   1.000000  -2.000000\n"));
}

/// A large matrix shows its first and last rows and columns. Numbers that fixed decimals would
/// print as 0 are scientific.
#[test]
fn tables_leave_out_what_is_wide_and_show_what_is_small() {
    let network = Network::<f64>::builder(13)
        .dense(1, Identity)
        .zeros()
        .unwrap();
    let x = DMatrix::from_fn(13, 9, |i, k| (10 * i + k) as f64);
    let y = DMatrix::repeat(1, 9, 3e-4);
    let examples = Examples::new(&x, &y).unwrap();
    let trace = network
        .trace(&examples, &Objective::new(SquaredError))
        .unwrap();
    let text = format!("{trace:.0}");
    let head = "\
a⁽¹⁾ = X (13 × 9, 1 of 13 rows left out, 1 of 9 columns left out)
    0    1    2    3    4    5  …    7    8
   10   11   12   13   14   15  …   17   18
";
    let tail = "
   90   91   92   93   94   95  …   97   98
    ⋮    ⋮    ⋮    ⋮    ⋮    ⋮  ⋱    ⋮    ⋮
  110  111  112  113  114  115  …  117  118
  120  121  122  123  124  125  …  127  128
";
    assert!(text.contains(head) && text.contains(tail), "{text}");
    assert!(
        text.contains("Θ⁽¹⁾ (1 × 14, 6 of 14 columns left out)"),
        "{text}"
    );
    assert!(
        text.contains("cost (1 × 9, 1 of 9 columns left out)\n  4e-8  4e-8"),
        "{text}"
    );
    let text = format!("{trace:.4}");
    assert!(text.contains("\n  0.0003  0.0003"), "{text}");
    assert!(
        text.contains("= 4.5000e-8 + 0.0000e0 = 4.5000e-8, m = 9"),
        "{text}"
    );
    // A precision larger than that of any number.
    assert!(format!("{trace:.65535}").len() > 1000);
}
