//! The table of layers is a tree.

use super::{Own, STEPS, every_kind, with_custom};
use backprop::activation::{Sigmoid, Tanh};
use backprop::{Builder, Network};

/// Paths in the labels are those of the layout. The counts add up to the total.
#[test]
fn the_table_is_a_tree() {
    let network = every_kind(Network::<f64>::builder(STEPS)).zeros().unwrap();
    let expected = "\
layer                            outputs  parameters        count
input               4 steps × 3 features                         
Dense Tanh          4 steps × 5 features  Θ⁽¹⁾ 5 × 4           20
Residual            4 steps × 5 features                         
  body              4 steps × 5 features                         
    Dense Tanh      4 steps × 6 features  Θ⁽²·¹·¹⁾ 6 × 6       36
    Dense Identity  4 steps × 5 features  Θ⁽²·¹·²⁾ 5 × 7       35
Concat              4 steps × 7 features                         
  branch 1          4 steps × 2 features                         
    Dense Tanh      4 steps × 2 features  Θ⁽³·¹·¹⁾ 2 × 6       12
  branch 2          4 steps × 5 features                        0
Transpose                 7 channels × 4                        0
Residual                  7 channels × 3                         
  body                    7 channels × 3                         
    Dense Tanh            7 channels × 3  Θ⁽⁵·¹·¹⁾ 3 × 5       15
  shortcut                7 channels × 3                         
    Dense Identity        7 channels × 3  Θ⁽⁵·²·¹⁾ 3 × 5       15
Flatten                               21                        0
Select(2..9)                           7                        0
Relu                                   7                        0
Sequential of 2                        4                         
  Dense Tanh                           4  Θ⁽⁹·¹⁾ 4 × 8         32
  Residual                             4                         
    body                               4                         
      Dense Tanh                       4  Θ⁽⁹·²·¹·¹⁾ 4 × 5     20
Dense Sigmoid                          2  Θ⁽¹⁰⁾ 2 × 5          10
total                                                         195";
    assert_eq!(network.to_string(), expected);
    for place in network.layout().blocks() {
        let line = format!("{} {} × ", place.label(), place.block().rows);
        assert!(expected.contains(&line), "{line}");
    }

    let network = with_custom::<f64>(0.5).zeros().unwrap();
    let expected = "\
layer              outputs  parameters                              count
input                    3                                               
Dense Tanh               4  Θ⁽¹⁾ 4 × 4                                 16
Concat                   5                                               
  branch 1               4                                               
    Residual             4                                               
      body               4                                               
        LowRank          4  V⁽²·¹·¹·¹·¹⁾ 2 × 4, U⁽²·¹·¹·¹·¹⁾ 4 × 3     20
  branch 2               1                                               
    Dense Sigmoid        1  Θ⁽²·²·¹⁾ 1 × 5                              5
total                                                                  41";
    assert_eq!(network.to_string(), expected);
}

/// A wrapper has the rows of the layers inside it, with its own name.
#[test]
fn the_table_shows_layers_inside_wrappers() {
    let network = Builder::<f64, Own>::new(2)
        .residual(|body| body.dense(3, Tanh).dense(2, Tanh))
        .dense(1, Sigmoid)
        .zeros()
        .unwrap();
    let expected = "\
layer    outputs  parameters      count
input          2                       
Own            2                       
  body         2                       
    Own        3  Θ⁽¹·¹·¹⁾ 3 × 3      9
    Own        2  Θ⁽¹·¹·²⁾ 2 × 4      8
Own            1  Θ⁽²⁾ 1 × 3          3
total                                20";
    assert_eq!(network.to_string(), expected);
}
