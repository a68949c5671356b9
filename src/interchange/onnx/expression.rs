//! Formulas of one variable in a normal form, in which equal formulas of activations are equal.

use std::cmp::Ordering;

/// A formula of x.
///
/// The constructors bring it to a normal form by identities only: sums and products are flat and
/// sorted, and have one constant each; a product has no sums with a factor in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    X,
    Number(f64),
    /// The number plus all terms.
    Sum(f64, Vec<Expression>),
    /// The number times all factors.
    Product(f64, Vec<Expression>),
    /// An operator of ONNX.
    Call(&'static str, Vec<Expression>),
}

use Expression::{Call, Number, Product, Sum, X};

impl Expression {
    pub(super) fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut number, mut terms) = (0.0, Vec::new());
        for part in parts {
            match part {
                Number(value) => number += value,
                Sum(value, inner) => {
                    number += value;
                    terms.extend(inner);
                }
                term => terms.push(term),
            }
        }
        sort(&mut terms);
        match &terms[..] {
            [] => return Number(number),
            [term] if number == 0.0 => return term.clone(),
            // softplus(e) = max(e, 0) + softplus(−|e|), which does not overflow.
            [Call("Relu", of), Call("Softplus", inner)]
                if number == 0.0 && inner[..] == [Self::minus(Self::call("Abs", of.clone()))] =>
            {
                return Call("Softplus", of.clone());
            }
            _ => {}
        }
        let factor = terms[0].factor();
        if number == 0.0 && is_divisor(factor) {
            return Product(factor, vec![Sum(0.0, divided(terms, factor))]);
        }
        Sum(number, terms)
    }

    pub(super) fn product(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut number, mut factors) = (1.0, Vec::new());
        for part in parts {
            match part {
                Number(value) => number *= value,
                Product(value, inner) => {
                    number *= value;
                    factors.extend(inner);
                }
                Sum(value, terms) if is_divisor(value) => {
                    number *= value;
                    factors.push(Sum(1.0, divided(terms, value)));
                }
                factor => factors.push(factor),
            }
        }
        sort(&mut factors);
        match &factors[..] {
            [] => Number(number),
            [factor] if number == 1.0 => factor.clone(),
            _ => Product(number, factors),
        }
    }

    pub(super) fn minus(of: Self) -> Self {
        Self::product([Number(-1.0), of])
    }

    pub(super) fn reciprocal(of: Self) -> Self {
        match of {
            Number(value) => Number(1.0 / value),
            Product(number, factors) => {
                let inverse = factors.into_iter().map(Self::reciprocal);
                Self::product(inverse.chain([Number(1.0 / number)]))
            }
            Sum(1.0, terms) => match &terms[..] {
                // σ(e) = 1/(1 + exp(−e))
                [Call("Exp", of)] => {
                    let of = of.iter().cloned().map(Self::minus);
                    Call("Sigmoid", of.collect())
                }
                _ => Call("Reciprocal", vec![Sum(1.0, terms)]),
            },
            other => Call("Reciprocal", vec![other]),
        }
    }

    /// Raises to a power, if it is a small whole one.
    pub(super) fn power(self, exponent: f64) -> Option<Self> {
        match exponent {
            1.0 => Some(self),
            2.0 => Some(Self::product([self.clone(), self])),
            3.0 => Some(Self::product([self.clone(), self.clone(), self])),
            -1.0 => Some(Self::reciprocal(self)),
            _ => None,
        }
    }

    pub(super) fn call(operator: &'static str, mut of: Vec<Self>) -> Self {
        if matches!(operator, "Max" | "Min") {
            sort(&mut of);
            of.reverse(); // numbers last, unless next to x
            if let [Number(_), _] = of[..] {
                of.reverse();
            }
        }
        match (operator, &of[..]) {
            ("Max", [of, Number(0.0)]) => Call("Relu", vec![of.clone()]),
            ("Log", [Sum(1.0, terms)]) => match &terms[..] {
                [Call("Exp", inner)] => Call("Softplus", inner.clone()),
                _ => Call("Log", of),
            },
            // Beyond 20, x differs from softplus(x) by less than e⁻²⁰.
            ("Where", [Call("Greater", test), same, Call("Softplus", inner)]) => match &test[..] {
                [e, Number(20.0..)] if e == same && inner[..] == [e.clone()] => {
                    Call("Softplus", inner.clone())
                }
                _ => Call("Where", of),
            },
            _ => Call(operator, of),
        }
    }

    /// Returns the number of parts.
    pub(super) fn size(&self) -> usize {
        match self {
            X | Number(_) => 1,
            Sum(_, parts) | Product(_, parts) | Call(_, parts) => {
                parts.iter().map(Self::size).sum::<usize>() + 1
            }
        }
    }

    /// Compares the forms of two formulas, and then their constants. A constant factor does not
    /// change the place of a term in a sum, so the normal form of a normal form is itself.
    fn order(&self, other: &Self) -> Ordering {
        let rank = |expression: &Self| match expression {
            Call(..) => 0,
            Number(_) => 1,
            Sum(..) => 2,
            Product(..) | X => 3,
        };
        let lists = |p: &[Self], q: &[Self]| {
            let mut pairs = p.iter().zip(q).map(|(p, q)| p.order(q));
            let first = pairs.find(|order| order.is_ne());
            first.unwrap_or_else(|| p.len().cmp(&q.len()))
        };
        match (self, other) {
            // Relu comes first, so that the other term keeps the slope of a leaky ReLU.
            (Call(f, p), Call(g, q)) => {
                let order = (*f != "Relu", f).cmp(&(*g != "Relu", g));
                order.then_with(|| lists(p, q))
            }
            (Number(a), Number(b)) => a.total_cmp(b),
            (Sum(a, p), Sum(b, q)) => lists(p, q).then_with(|| a.total_cmp(b)),
            (Product(a, p), Product(b, q)) => lists(p, q).then_with(|| a.total_cmp(b)),
            (Product(a, p), term) => {
                lists(p, std::slice::from_ref(term)).then_with(|| a.total_cmp(&1.0))
            }
            (_, Product(..)) => other.order(self).reverse(),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Returns the constant factor.
    pub(super) fn factor(&self) -> f64 {
        match self {
            Product(number, _) => *number,
            _ => 1.0,
        }
    }

    /// Returns whether both are the same formula, up to the rounding of constants to `f32`.
    pub(super) fn is_close(&self, other: &Self) -> bool {
        let close = |a: f64, b: f64| {
            let most = a.abs().max(b.abs());
            most.is_finite() && (a - b).abs() <= 1e-6 * most
        };
        let all = |a: &[Self], b: &[Self]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_close(b))
        };
        match (self, other) {
            (X, X) => true,
            (Number(a), Number(b)) => a == b || close(*a, *b),
            (Sum(a, p), Sum(b, q)) | (Product(a, p), Product(b, q)) => close(*a, *b) && all(p, q),
            (Call(f, p), Call(g, q)) => f == g && all(p, q),
            _ => false,
        }
    }
}

/// Returns whether to take a constant out of a sum.
fn is_divisor(number: f64) -> bool {
    number.is_finite() && number != 0.0 && number != 1.0
}

fn divided(terms: Vec<Expression>, by: f64) -> Vec<Expression> {
    let terms = terms.into_iter().map(|term| match term {
        Product(number, factors) => {
            Expression::product(factors.into_iter().chain([Number(number / by)]))
        }
        term => Expression::product([term, Number(1.0 / by)]),
    });
    let mut terms: Vec<_> = terms.collect();
    sort(&mut terms);
    terms
}

/// Puts equal lists of formulas in the same order.
fn sort(list: &mut [Expression]) {
    list.sort_by(Expression::order);
}
