//! Activations as operators of ONNX, and as formulas of simpler operators.

use super::expression::Expression::{self, Number, X};
use super::graph::{Graph, Value, refused};
use super::proto::Node;
use crate::activation::AnyActivation as Activation;
use crate::interchange::InterchangeError;

/// How far up a formula may begin, and of how many nodes it may consist.
const MOST_LEVELS: usize = 8;
const MOST_NODES: usize = 32;

/// The operators that a formula may end with.
const ENDS: [&str; 11] = [
    "Add",
    "Clip",
    "Div",
    "Log",
    "Max",
    "Min",
    "Mul",
    "Reciprocal",
    "Sub",
    "Sum",
    "Where",
];

/// The constants of SELU, of its paper.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

fn call(operator: &'static str, of: Expression) -> Expression {
    Expression::call(operator, vec![of])
}

fn plus(a: Expression, b: Expression) -> Expression {
    Expression::sum([a, b])
}

fn times(a: Expression, b: Expression) -> Expression {
    Expression::product([a, b])
}

/// min(x, 0).
fn negative_part() -> Expression {
    Expression::call("Min", vec![X, Number(0.0)])
}

/// max(x, 0) + α (e^n − 1) with n = min(x, 0), and e^n − 1 = (e^n + 1) tanh(n/2), which is exact
/// near 0.
fn elu(alpha: f64) -> Expression {
    let n = negative_part();
    let power = plus(call("Exp", n.clone()), Number(1.0));
    let power = times(power, call("Tanh", times(Number(0.5), n)));
    plus(call("Relu", X), times(Number(alpha), power))
}

/// √(2/π) (x + 0.044715 x³).
fn gelu_argument() -> Expression {
    let cube = Expression::product([Number(0.044_715), X, X, X]);
    times(Number(0.797_884_560_802_865_4), plus(X, cube))
}

/// Returns the formula of an activation that has one besides its operator.
pub(super) fn formula(activation: Activation) -> Option<Expression> {
    Some(match activation {
        Activation::Sigmoid => call("Sigmoid", X),
        Activation::Relu => call("Relu", X),
        Activation::Softplus => call("Softplus", X),
        Activation::LeakyRelu { slope } => {
            plus(call("Relu", X), times(Number(slope), negative_part()))
        }
        Activation::Elu { alpha } => elu(alpha),
        Activation::Selu => times(Number(SELU_SCALE), elu(SELU_ALPHA)),
        Activation::Softsign => {
            let below = plus(Number(1.0), call("Abs", X));
            times(X, Expression::reciprocal(below))
        }
        Activation::Gelu => {
            let erf = call("Erf", times(Number(std::f64::consts::FRAC_1_SQRT_2), X));
            Expression::product([Number(0.5), X, plus(Number(1.0), erf)])
        }
        Activation::GeluTanh => times(X, call("Sigmoid", times(Number(2.0), gelu_argument()))),
        Activation::Silu => times(X, call("Sigmoid", X)),
        Activation::Mish => times(X, call("Tanh", call("Softplus", X))),
        Activation::HardTanh => Expression::call("Clip", vec![X, Number(-1.0), Number(1.0)]),
        _ => return None,
    })
}

/// Returns the activation that a formula computes.
fn activation_of(expression: &Expression) -> Option<Activation> {
    let fixed = [
        Activation::Sigmoid,
        Activation::Relu,
        Activation::Softplus,
        Activation::Selu,
        Activation::Softsign,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Mish,
        Activation::HardTanh,
    ];
    let is = |activation: &Activation| formula(*activation).is_some_and(|f| f.is_close(expression));
    if let Some(found) = fixed.into_iter().find(is) {
        return Some(found);
    }
    let tanh = plus(Number(1.0), call("Tanh", gelu_argument()));
    if Expression::product([Number(0.5), X, tanh]).is_close(expression) {
        return Some(Activation::GeluTanh);
    }
    // A constant of the activation is the factor of a term.
    let Expression::Sum(_, terms) = expression else {
        return None;
    };
    let constants = terms.iter().map(Expression::factor);
    let mut found = constants.flat_map(|constant| {
        [
            Activation::LeakyRelu { slope: constant },
            Activation::Elu { alpha: constant },
        ]
    });
    found.find(is)
}

/// An activation that one or more nodes compute.
pub(super) struct Found {
    pub(super) activation: Activation,
    /// The vertex of x.
    pub(super) start: usize,
    /// The number of axes that x has at least: those of its constants.
    pub(super) rank: usize,
}

/// Finds the activation that ends at a vertex, if there is one.
pub(super) fn find(graph: &Graph<'_>, end: usize) -> Result<Option<Found>, InterchangeError> {
    let Some(node) = graph.node(end) else {
        return Ok(None);
    };
    if let (Some(activation), Some(start)) = (operator(graph, node)?, graph.moving(node, 0)) {
        return Ok(Some(Found {
            activation,
            start,
            // That of the slope of `PRelu`; no other operator has a second input.
            rank: graph.constant(node, 1).map_or(0, |slope| slope.dims.len()),
        }));
    }
    if !ENDS.contains(&node.operator) {
        return Ok(None);
    }
    let mut start = end;
    for _ in 0..MOST_LEVELS {
        if start == 0 {
            break;
        }
        start = graph.parent(start);
        let mut region = Region {
            graph,
            start,
            nodes: 0,
            rank: 0,
        };
        let Some(expression) = region.expression(end) else {
            break;
        };
        if let Some(activation) = activation_of(&expression) {
            return Ok(Some(Found {
                activation,
                start,
                rank: region.rank,
            }));
        }
    }
    Ok(None)
}

/// Returns the activation that is a single node.
fn operator(graph: &Graph<'_>, node: &Node<'_>) -> Result<Option<Activation>, InterchangeError> {
    let constant = |found: f64, name: &str, expected: f64| {
        // A constant may have been rounded to `f32` before the file gave it as a decimal number.
        if (found - expected).abs() <= 1e-6 * expected {
            return Ok(());
        }
        let reason = format!("its {name} is {found}, expected {expected}");
        Err(refused(node, reason))
    };
    Ok(Some(match node.operator {
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "Relu" => Activation::Relu,
        "Softplus" => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        "Mish" => Activation::Mish,
        "Sin" => Activation::Sine,
        "Exp" => Activation::Exponential,
        "LeakyRelu" => Activation::LeakyRelu {
            slope: node.float("alpha", 0.01)?,
        },
        "PRelu" => match graph.scalar(node, 1) {
            Some(slope) => Activation::LeakyRelu { slope },
            None => return Err(refused(node, "its slope is not a single constant")),
        },
        "Elu" => Activation::Elu {
            alpha: node.float("alpha", 1.0)?,
        },
        "Celu" => {
            constant(node.float("alpha", 1.0)?, "alpha", 1.0)?;
            Activation::Elu { alpha: 1.0 }
        }
        "Selu" => {
            constant(node.float("alpha", SELU_ALPHA)?, "alpha", SELU_ALPHA)?;
            constant(node.float("gamma", SELU_SCALE)?, "gamma", SELU_SCALE)?;
            Activation::Selu
        }
        "Swish" => {
            constant(node.float("alpha", 1.0)?, "alpha", 1.0)?;
            Activation::Silu
        }
        "Gelu" => match node.text("approximate")? {
            None | Some(b"none") => Activation::Gelu,
            Some(b"tanh") => Activation::GeluTanh,
            Some(_) => return Err(refused(node, "its approximation is not none or tanh")),
        },
        _ => return Ok(None),
    }))
}

/// The nodes between two vertices.
struct Region<'g, 'a> {
    graph: &'g Graph<'a>,
    start: usize,
    nodes: usize,
    rank: usize,
}

impl Region<'_, '_> {
    /// Returns the formula of a vertex in that of the start.
    fn expression(&mut self, vertex: usize) -> Option<Expression> {
        if vertex == self.start {
            return Some(X);
        }
        self.nodes += 1;
        let node = self.graph.node(vertex)?;
        if self.nodes > MOST_NODES || node.check().is_err() {
            return None;
        }
        let (graph, count) = (self.graph, node.inputs.len());
        if count > MOST_NODES {
            return None;
        }
        let mut all = || {
            let all = (0..count).map(|index| self.operand(node, index));
            all.collect::<Option<Vec<_>>>()
        };
        Some(match node.operator {
            "Identity" => all()?.pop()?,
            "Cast" if node.casts_to_float() => all()?.pop()?,
            "Sigmoid" => Expression::call("Sigmoid", all()?),
            "Tanh" => Expression::call("Tanh", all()?),
            "Relu" => Expression::call("Relu", all()?),
            "Softplus" => Expression::call("Softplus", all()?),
            "Exp" => Expression::call("Exp", all()?),
            "Log" => Expression::call("Log", all()?),
            "Erf" => Expression::call("Erf", all()?),
            "Abs" => Expression::call("Abs", all()?),
            "Max" => Expression::call("Max", all()?),
            "Min" => Expression::call("Min", all()?),
            "Greater" => Expression::call("Greater", all()?),
            "Where" => Expression::call("Where", all()?),
            "Neg" => Expression::minus(all()?.pop()?),
            "Reciprocal" => Expression::reciprocal(all()?.pop()?),
            "Sum" => Expression::sum(all()?),
            "Add" if count == 2 => Expression::sum(all()?),
            "Mul" if count == 2 => Expression::product(all()?),
            "Sub" => {
                let [a, b] = all()?.try_into().ok()?;
                plus(a, Expression::minus(b))
            }
            "Div" => {
                let [a, b] = all()?.try_into().ok()?;
                times(a, Expression::reciprocal(b))
            }
            "Pow" => {
                let [base, exponent] = all()?.try_into().ok()?;
                match exponent {
                    Number(exponent) if base.size() <= MOST_NODES => base.power(exponent)?,
                    _ => return None,
                }
            }
            "Clip" => {
                let bound = |index: usize, other: f64| match graph.operand(node, index) {
                    Value::Absent => Some(other),
                    _ => graph.scalar(node, index),
                };
                let (low, high) = (bound(1, f64::NEG_INFINITY)?, bound(2, f64::INFINITY)?);
                let of = self.operand(node, 0)?;
                match (low, high) {
                    (0.0, f64::INFINITY) => Expression::call("Relu", vec![of]),
                    _ => Expression::call("Clip", vec![of, Number(low), Number(high)]),
                }
            }
            _ => return None,
        })
    }

    fn operand(&mut self, node: &Node<'_>, index: usize) -> Option<Expression> {
        match self.graph.operand(node, index) {
            Value::Moving(vertex) => self.expression(vertex),
            Value::Constant(constant) => {
                // Both operands have one type, and the quotient of integers is rounded.
                let is_exponent = node.operator == "Pow" && index == 1;
                if !constant.is_real() && !is_exponent {
                    return None;
                }
                self.rank = self.rank.max(constant.dims.len());
                constant.scalar().map(Number)
            }
            _ => None,
        }
    }
}

/// Returns the operator that an activation is written as, with a constant of it, unless it is
/// written as a formula. In double precision, onnxruntime lacks some operators, and constants are
/// only `f32`.
pub(super) fn operator_of(
    activation: Activation,
    is_double: bool,
) -> Option<(&'static str, Option<(&'static str, f64)>)> {
    let operator = match activation {
        Activation::Sigmoid => "Sigmoid",
        Activation::Tanh => "Tanh",
        Activation::Relu => "Relu",
        Activation::Sine => "Sin",
        Activation::Exponential => "Exp",
        Activation::Softmax => "Softmax",
        Activation::Softplus if !is_double => "Softplus",
        Activation::Softsign if !is_double => "Softsign",
        Activation::Selu if !is_double => "Selu",
        Activation::LeakyRelu { slope } if !is_double => {
            return Some(("LeakyRelu", Some(("alpha", slope))));
        }
        Activation::Elu { alpha } if !is_double => return Some(("Elu", Some(("alpha", alpha)))),
        _ => return None,
    };
    Some((operator, None))
}
