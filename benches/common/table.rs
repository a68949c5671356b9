//! The rows that are measured, and their data.

/// Output activation and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Sigmoid and the cross-entropy of each output.
    Bce,
    /// Softmax and the categorical cross-entropy.
    Softmax,
    /// Identity and ½ Σ (a − y)².
    HalfMse,
}

/// One row to measure.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    /// The sizes of the layers, from the inputs to the outputs.
    pub sizes: Vec<usize>,
    /// The activation of the hidden layers.
    pub hidden: String,
    pub head: Head,
    /// Examples.
    pub batch: usize,
    /// Whether it is a training step (J and all gradients) or inference.
    pub train: bool,
}

/// The name of a row, and whether it is a training step.
pub type Label<'a> = (&'a str, bool);

/// The hidden activations that a row may name.
const ACTIVATIONS: [&str; 16] = [
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "hard_tanh",
    "sine",
    "exponential",
];

/// name:sizes:activation:cost:batch:mode. `deep` is 64 × 33 and then 1.
const ROWS: &str = "\
xor:2-4-1:sigmoid:bce:4:train
iris-b1:4-16-3:tanh:softmax:1:train
iris-b32:4-16-3:tanh:softmax:32:train
ex4:400-25-10:sigmoid:bce:5000:train
mnist-b1:784-128-64-10:relu:softmax:1:train
mnist-b64:784-128-64-10:relu:softmax:64:train
mnist-b1024:784-128-64-10:relu:softmax:1024:train
wide-b256:1024-1024-1024-10:relu:softmax:256:train
wide-b2048:1024-1024-1024-10:relu:softmax:2048:train
deep:64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-64-\
64-64-64-1:tanh:half_mse:32:train
simple:4-32-16-4:tanh:half_mse:10000:train
ex4-fwd-b1:400-25-10:sigmoid:bce:1:forward
mnist-fwd-b1:784-128-64-10:relu:softmax:1:forward
mnist-fwd-b1024:784-128-64-10:relu:softmax:1024:forward";

/// Fails unless a row may have this name.
pub fn check_name(name: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(known) {
        return Err(format!(
            "{name:?}: a name is letters, digits, '-', '_' and '.'"
        ));
    }
    Ok(())
}

impl Row {
    /// Returns all named rows.
    pub fn all() -> Result<Vec<Self>, String> {
        ROWS.lines().map(Self::parse).collect()
    }

    /// Returns a row by its name, or a new one from
    /// `name:sizes:activation:cost:batch:train|forward`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split(':').collect();
        let [name, sizes, hidden, head, batch, mode] = fields[..] else {
            let named = ROWS.lines().find(|row| row.split(':').next() == Some(text));
            return match named {
                Some(row) if fields.len() == 1 => Self::parse(row),
                _ => Err(format!(
                    "no row is called {text:?}. Rows: {}; others are \
                     name:sizes:activation:cost:batch:train|forward or name=FILE",
                    ROWS.lines()
                        .filter_map(|row| row.split(':').next())
                        .collect::<Vec<_>>()
                        .join(", "),
                )),
            };
        };
        check_name(name)?;
        let count = |number: &str| match number.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(format!("{text}: {number:?} is not a positive number")),
        };
        let sizes: Vec<usize> = sizes.split('-').map(count).collect::<Result<_, _>>()?;
        if sizes.len() < 2 {
            return Err(format!("{text}: sizes are inputs-…-outputs, as 17-64-64-6"));
        }
        if !ACTIVATIONS.contains(&hidden) {
            return Err(format!(
                "{text}: no activation {hidden:?}, but {}",
                ACTIVATIONS.join(", ")
            ));
        }
        let head = match head {
            "bce" => Head::Bce,
            "softmax" => Head::Softmax,
            "half_mse" => Head::HalfMse,
            _ => {
                return Err(format!(
                    "{text}: no cost {head:?}, but bce, softmax, half_mse"
                ));
            }
        };
        let train = match mode {
            "train" => true,
            "forward" => false,
            _ => {
                return Err(format!(
                    "{text}: the last part is train or forward, not {mode:?}"
                ));
            }
        };
        Ok(Self {
            name: name.into(),
            sizes,
            hidden: hidden.into(),
            head,
            batch: count(batch)?,
            train,
        })
    }

    pub fn label(&self) -> Label<'_> {
        (&self.name, self.train)
    }

    pub fn inputs(&self) -> usize {
        self.sizes[0]
    }

    pub fn outputs(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    /// Inputs and outputs of each layer.
    pub fn layers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sizes.windows(2).map(|pair| (pair[0], pair[1]))
    }
}

/// In the form that [`Row::parse`] reads.
impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<String> = self.sizes.iter().map(usize::to_string).collect();
        let head = match self.head {
            Head::Bce => "bce",
            Head::Softmax => "softmax",
            Head::HalfMse => "half_mse",
        };
        let mode = if self.train { "train" } else { "forward" };
        write!(
            f,
            "{}:{}:{}:{head}:{}:{mode}",
            self.name,
            sizes.join("-"),
            self.hidden,
            self.batch
        )
    }
}

/// A linear congruential generator, the same in every implementation.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a uniform number in [0, 1) with 31 bits.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

/// The data of a row, all row-major. All implementations get the same numbers.
#[derive(Debug)]
pub struct Data {
    /// Examples × inputs.
    pub x: Vec<f64>,
    /// Examples × outputs.
    pub y: Vec<f64>,
    /// Glorot-uniform, inputs × outputs of each layer. Biases are 0.
    pub weights: Vec<Vec<f64>>,
}

impl Data {
    pub fn new(row: &Row) -> Self {
        let mut random = Random::new(1);
        // Grey values in 0..1, or numbers with variance 1.
        let grey = row.name.starts_with("ex4");
        let input = |u: f64| if grey { u } else { (u - 0.5) * 3.46 };
        let x = (0..row.batch * row.inputs())
            .map(|_| input(random.uniform()))
            .collect();
        let outputs = row.outputs();
        let mut y = vec![0.0; row.batch * outputs];
        for target in y.chunks_exact_mut(outputs) {
            match row.head {
                Head::HalfMse => target.fill_with(|| random.uniform() - 0.5),
                Head::Bce if outputs == 1 => target[0] = f64::from(random.uniform() > 0.5),
                _ => target[(random.uniform() * outputs as f64) as usize] = 1.0,
            }
        }
        let mut layer = |(inputs, outputs): (usize, usize)| {
            let epsilon = (6.0 / (inputs + outputs) as f64).sqrt();
            (0..inputs * outputs)
                .map(|_| (random.uniform() * 2.0 - 1.0) * epsilon)
                .collect()
        };
        let weights = row.layers().map(&mut layer).collect();
        Self { x, y, weights }
    }
}
