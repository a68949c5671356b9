//! The attributes of nodes.

use super::constant::{Constant, decimal};
use super::graph::refused;
use super::proto::{Node, Setting, is_default};
use crate::interchange::InterchangeError;

/// Codes of the types of numbers.
pub(super) const FLOATS: [i64; 4] = [1, 10, 11, 16];

type Found<T> = Result<T, InterchangeError>;

/// Returns the attributes of an operator that is known. Others may change the result.
fn known(operator: &str) -> Option<&'static [&'static str]> {
    Some(match operator {
        "Gemm" => &["alpha", "beta", "transA", "transB"],
        "BatchNormalization" => &["epsilon", "momentum", "training_mode"],
        "LayerNormalization" | "RMSNormalization" => &["axis", "epsilon", "stash_type"],
        "Softmax" | "Concat" | "Flatten" | "Gather" => &["axis"],
        "Reshape" => &["allowzero"],
        "Transpose" => &["perm"],
        "Cast" => &["to", "saturate", "round_mode"],
        "Dropout" => &["seed"],
        "Elu" | "LeakyRelu" | "Celu" | "Swish" => &["alpha"],
        "Selu" => &["alpha", "gamma"],
        "Gelu" => &["approximate"],
        "ReduceMean" => &["axes", "keepdims", "noop_with_empty_axes"],
        "Abs" | "Add" | "Clip" | "Div" | "Erf" | "Exp" | "Greater" | "Identity" | "Less"
        | "Log" | "MatMul" | "Max" | "Min" | "Mish" | "Mul" | "Neg" | "PRelu" | "Pow"
        | "Reciprocal" | "Relu" | "Sigmoid" | "Sin" | "Slice" | "Softplus" | "Softsign"
        | "Sqrt" | "Squeeze" | "Sub" | "Sum" | "Tanh" | "Where" => &[],
        _ => return None,
    })
}

impl<'a> Node<'a> {
    /// Returns whether the node is this operator of the standard domain.
    pub(super) fn is(&self, operator: &str) -> bool {
        is_default(self.domain) && self.operator == operator
    }

    /// Checks that the operator and all attributes are known.
    pub(super) fn check(&self) -> Found<()> {
        let is_scaler = self.domain == "ai.onnx.ml" && self.operator == "Scaler";
        if !is_default(self.domain) && !is_scaler {
            return Err(refused(self, "only standard operators are supported"));
        }
        let known = if is_scaler {
            Some(&["offset", "scale"][..])
        } else {
            known(self.operator)
        };
        let known = known.ok_or_else(|| refused(self, "there is no layer for it"))?;
        let mut attributes = self.attributes.iter();
        match attributes.find(|attribute| !known.contains(&attribute.name)) {
            None => Ok(()),
            Some(attribute) => {
                let reason = format!("the attribute {:?} is not supported", attribute.name);
                Err(refused(self, reason))
            }
        }
    }

    fn setting(&self, name: &str) -> Option<&Setting<'a>> {
        let mut found = self.attributes.iter().filter(|a| a.name == name);
        found.next().map(|attribute| &attribute.value)
    }

    /// Returns an attribute as a constant.
    pub(super) fn constant(&self, name: &str) -> Found<Option<Constant<'_>>> {
        let constant = self.setting(name).map(Constant::of_setting);
        constant.flatten().transpose()
    }

    fn wrong<T>(&self, name: &str, expected: &str) -> Found<T> {
        Err(refused(
            self,
            format!("the attribute {name:?} is not {expected}"),
        ))
    }

    /// Returns an attribute, or the default of the operator.
    pub(super) fn int(&self, name: &str, default: i64) -> Found<i64> {
        match self.setting(name) {
            None => Ok(default),
            Some(Setting::Int(value)) => Ok(*value),
            Some(_) => self.wrong(name, "an integer"),
        }
    }

    /// Returns an attribute that is 0 or 1.
    pub(super) fn flag(&self, name: &str) -> Found<bool> {
        Ok(self.int(name, 0)? != 0)
    }

    pub(super) fn float(&self, name: &str, default: f64) -> Found<f64> {
        match self.setting(name) {
            None => Ok(default),
            Some(Setting::Float(value)) => Ok(decimal(*value)),
            Some(_) => self.wrong(name, "a float"),
        }
    }

    pub(super) fn ints(&self, name: &str) -> Found<Option<&[i64]>> {
        match self.setting(name) {
            None => Ok(None),
            Some(Setting::Ints(values)) => Ok(Some(values)),
            Some(_) => self.wrong(name, "a list of integers"),
        }
    }

    pub(super) fn text(&self, name: &str) -> Found<Option<&[u8]>> {
        match self.setting(name) {
            None => Ok(None),
            Some(Setting::Text(text)) => Ok(Some(text)),
            Some(_) => self.wrong(name, "text"),
        }
    }

    /// Returns whether this is a `Cast` to floats, which changes no number that matters here.
    pub(super) fn casts_to_float(&self) -> bool {
        self.is("Cast") && self.int("to", 0).is_ok_and(|to| FLOATS.contains(&to))
    }
}
