//! Training from files has the bits and the history of training from memory, in the same order.

use super::{Folder, Random, reason};
use backprop::activation::{Identity, Softmax, Tanh};
use backprop::interchange::npy;
use backprop::metrics::{Accuracy, MeanSquaredError};
use backprop::nalgebra::DMatrix;
use backprop::saving::Checkpoints;
use backprop::source::{FileSource, Number, ReadInto, RowFile, Shards, Source};
use backprop::training::{
    Adam, ConjugateGradient, GradientDescent, History, IRpropMinus, Lbfgs, Method, Trainer,
};
use backprop::{AnyCost, Error, Examples, Initialization, Location, Network, Objective, rng};
use std::ops::{ControlFlow, Range};

const N: usize = 3;
const K: usize = 2;

/// Examples in memory, and the same in files.
struct Data {
    folder: Folder,
    m: usize,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    present: DMatrix<bool>,
    weights: Vec<f64>,
}

impl Data {
    fn new(m: usize) -> Self {
        let mut random = Random(m as u64);
        let mut number = |_, _| random.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0;
        let (x, y) = (
            DMatrix::from_fn(N, m, &mut number),
            DMatrix::from_fn(K, m, &mut number),
        );
        let y = y.map(|y| {
            if (0.25..0.5).contains(&y) {
                f64::NAN
            } else {
                y
            }
        });
        Self {
            folder: Folder::new(),
            m,
            present: y.map(|y| !y.is_nan()),
            x,
            y,
            weights: (0..m).map(|k| [1.0, 0.5, 0.0, 2.0, 0.25][k % 5]).collect(),
        }
    }

    fn examples(&self) -> Examples<'_, f64> {
        let examples = Examples::with_missing(&self.x, &self.y, &self.present).unwrap();
        examples.weighted(&self.weights).unwrap()
    }

    /// The rows of some examples in one file, and their weights.
    fn joined(&self, name: &str, part: Range<usize>) -> FileSource<f64> {
        let row = |k: usize| {
            self.x
                .column(k)
                .iter()
                .chain(&self.y.column(k))
                .copied()
                .collect()
        };
        let rows: Vec<f64> = part.clone().flat_map(|k| -> Vec<f64> { row(k) }).collect();
        let file = self.folder.rows(name, &rows, N + K);
        let source = FileSource::joined(file, N).unwrap().missing_targets();
        source.weighted(self.weights[part].to_vec()).unwrap()
    }

    /// All files that hold the examples, in blocks of this many.
    fn sources(&self, block: usize) -> Vec<Box<dyn Source<f64> + '_>> {
        let all = 0..self.m;
        let joined = self.joined("joined", all.clone()).blocks_of(block).unwrap();
        let (x, y) = (self.folder.0.join("x.npy"), self.folder.0.join("y.npy"));
        npy::save(&x, &self.x).unwrap();
        npy::save(&y, &self.y).unwrap();
        let arrays = FileSource::new(RowFile::npy(x).unwrap(), RowFile::npy(y).unwrap());
        let arrays = arrays.unwrap().missing_targets().blocks_of(block).unwrap();
        let arrays = arrays.weighted(self.weights.clone()).unwrap();
        // The numbers are multiples of 2⁻¹⁹ below 1, which f32 holds.
        let single: Vec<f32> = self.x.iter().map(|&x| x as f32).collect();
        let x = self.folder.rows("x.bin", &single, N);
        let y = self.folder.rows("y.bin", self.y.as_slice(), K);
        let two = FileSource::new(x, y).unwrap().missing_targets();
        let two = two
            .weighted(self.weights.clone())
            .unwrap()
            .blocks_of(block)
            .unwrap();
        let borders = [0, self.m / 7, self.m / 7 + 1, self.m / 2, self.m];
        let shards = borders.windows(2).map(|pair| {
            let shard = self.joined(&format!("shard{}", pair[0]), pair[0]..pair[1]);
            shard.blocks_of(block).unwrap()
        });
        let shards = Shards::new(shards.collect()).unwrap();
        let halves: Vec<Box<dyn Source<f64> + '_>> = vec![
            Box::new(self.joined("half", 0..self.m / 2).blocks_of(block).unwrap()),
            Box::new(Blocks {
                examples: self.examples(),
                start: self.m / 2,
                block,
            }),
        ];
        let halves = Shards::new(halves).unwrap();
        vec![
            Box::new(joined),
            Box::new(arrays),
            Box::new(two),
            Box::new(shards),
            Box::new(halves),
        ]
    }
}

/// Examples in memory, which are shuffled in blocks.
#[derive(Debug)]
struct Blocks<'a> {
    examples: Examples<'a, f64>,
    /// The first example.
    start: usize,
    block: usize,
}

impl Source<f64> for Blocks<'_> {
    fn len(&self) -> usize {
        self.examples.len() - self.start
    }

    fn inputs(&self) -> usize {
        self.examples.inputs()
    }

    fn outputs(&self) -> usize {
        self.examples.outputs()
    }

    fn read(&self, indices: &[usize], into: ReadInto<'_, f64>) -> Result<(), Error> {
        let indices: Vec<usize> = indices.iter().map(|k| self.start + k).collect();
        self.examples.read(&indices, into)
    }

    fn block(&self) -> usize {
        self.block
    }

    fn weights(&self) -> Option<&[f64]> {
        Some(&self.examples.weights()?[self.start..])
    }

    fn has_missing(&self) -> bool {
        self.examples.has_missing()
    }

    fn reads_ahead(&self) -> bool {
        false
    }

    fn view(&self, range: Range<usize>) -> Option<Examples<'_, f64>> {
        self.examples
            .view(self.start + range.start..self.start + range.end)
    }
}

fn network(inputs: usize, outputs: usize) -> Network<f64> {
    let network = Network::builder(inputs)
        .dense(5, Tanh)
        .dense(outputs, Identity);
    let start = network.initialize(Initialization::GlorotUniform, &mut rng(3));
    start.unwrap()
}

fn trainer<'a>(method: impl Into<Method<f64>>) -> Trainer<'a, f64> {
    let objective = Objective::new(AnyCost::SquaredError).l2(0.1);
    Trainer::new(objective, method).epochs(3).seed(5)
}

type Outcome = (Vec<u64>, History);

fn trained<'a>(trainer: Trainer<'a, f64>, source: &dyn Source<f64>) -> Result<Outcome, Error> {
    let mut trainer = trainer;
    let mut network = network(source.inputs(), source.outputs());
    let history = trainer.fit_source(&mut network, source)?;
    let bits = network.theta().iter().map(|x| x.to_bits()).collect();
    Ok((bits, history))
}

#[test]
fn every_kind_of_file() {
    let data = Data::new(1300);
    for block in [1, 7, 400] {
        let memory = Blocks {
            examples: data.examples(),
            start: 0,
            block,
        };
        let sources = data.sources(block);
        for (batch, shuffle) in [(64, true), (64, false), (1100, true), (1300, true)] {
            let trainer = || trainer(Adam::new(0.01)).batch_size(batch).shuffle(shuffle);
            let expected = trained(trainer(), &memory).unwrap();
            if block == 1 || !shuffle || batch == 1300 {
                let mut of_memory = network(N, K);
                trainer().fit(&mut of_memory, &data.examples()).unwrap();
                let bits = of_memory.theta().iter().map(|x| x.to_bits());
                assert!(bits.eq(expected.0.iter().copied()));
            }
            for (kind, source) in sources.iter().enumerate() {
                let found = trained(trainer(), source).unwrap();
                assert!(
                    found == expected,
                    "source {kind}, blocks of {block}, batches of {batch}"
                );
            }
        }
    }
}

#[test]
fn metrics_validation_and_patience() {
    let (data, other) = (Data::new(900), Data::new(610));
    let memory = Blocks {
        examples: data.examples(),
        start: 0,
        block: 16,
    };
    for source in data.sources(16) {
        let common = || {
            let trainer = trainer(Adam::new(0.05))
                .batch_size(50)
                .epochs(20)
                .patience(2);
            trainer.monitor(MeanSquaredError)
        };
        let expected = trained(common().validation(other.examples()), &memory).unwrap();
        assert!(expected.1.records().len() < 20);
        let file = other.joined("validation", 0..610);
        assert_eq!(
            trained(common().validation(file), &source).unwrap(),
            expected
        );

        let expected = trained(common().validation_fraction(0.3), &memory).unwrap();
        let found = trained(common().validation_fraction(0.3), &source).unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
fn full_batch_solvers() {
    let data = Data::new(1300);
    let methods: [fn() -> Method<f64>; 4] = [
        || Lbfgs::new().into(),
        || ConjugateGradient::new().into(),
        || IRpropMinus::new(0.01).into(),
        || GradientDescent::new(0.1).into(),
    ];
    for method in methods {
        let expected = trained(trainer(method()), &data.examples()).unwrap();
        for source in data.sources(1) {
            assert_eq!(trained(trainer(method()), &source).unwrap(), expected);
        }
    }
}

#[test]
fn classes() {
    let m = 800;
    let mut random = Random(1);
    let labels: Vec<u8> = (0..m).map(|_| random.below(4) as u8).collect();
    let x: Vec<u8> = (0..3 * m).map(|_| random.below(256) as u8).collect();
    let folder = Folder::new();
    let files = [("x", &x, 3), ("labels", &labels, 1)];
    let files = files.map(|(name, bytes, columns)| {
        RowFile::raw(folder.write(name, bytes), Number::U8, columns).unwrap()
    });
    let [inputs, targets] = files;
    let source = FileSource::<f64>::new(inputs, targets).unwrap();
    let source = source.one_hot(4).unwrap().blocks_of(1).unwrap();
    let x = DMatrix::from_iterator(3, m, x.iter().map(|&x| f64::from(x)));
    let labels: Vec<usize> = labels.iter().map(|&label| label.into()).collect();
    let y = backprop::data::one_hot(&labels, 4).unwrap();
    let start = Network::builder(3)
        .dense(6, Tanh)
        .dense(4, Softmax)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let trainer = || {
        let objective = Objective::new(AnyCost::CategoricalCrossEntropy);
        let trainer = Trainer::new(objective, Adam::new(0.01)).batch_size(32);
        trainer.epochs(3).metric(Accuracy)
    };
    let (mut of_file, mut of_memory) = (start.clone(), start);
    let found = trainer().fit_source(&mut of_file, &source).unwrap();
    let examples = Examples::new(&x, &y).unwrap();
    let expected = trainer().fit(&mut of_memory, &examples).unwrap();
    assert_eq!((found, of_file), (expected, of_memory));
}

/// Batches of more than 16 MiB are read in pieces.
#[test]
fn batches_in_pieces() {
    let (n, m) = (600, 9000);
    let x = DMatrix::from_fn(n, m, |i, k| ((7 * i + 13 * k + i * k) % 101) as f64 / 101.0);
    let y = DMatrix::from_fn(1, m, |_, k| (k % 17) as f64 / 17.0);
    let examples = Examples::new(&x, &y).unwrap();
    let folder = Folder::new();
    let files = (
        folder.rows("x", x.as_slice(), n),
        folder.rows("y", y.as_slice(), 1),
    );
    let source = FileSource::<f64>::new(files.0, files.1)
        .unwrap()
        .blocks_of(1)
        .unwrap();
    for batch in [8000, 9000] {
        let trainer = || {
            trainer(GradientDescent::new(0.01))
                .batch_size(batch)
                .epochs(2)
        };
        let expected = trained(trainer(), &examples).unwrap();
        assert_eq!(trained(trainer(), &source).unwrap(), expected, "{batch}");
    }
}

#[test]
fn resumed_runs() {
    let data = Data::new(700);
    let trainer = |epochs| trainer(Adam::new(0.01)).batch_size(90).epochs(epochs);
    let expected = trained(trainer(6), &data.examples()).unwrap();
    for (kind, source) in data.sources(1).iter().enumerate() {
        let folder = data.folder.0.join(format!("run{kind}"));
        let checkpointed = |epochs| trainer(epochs).checkpoints(Checkpoints::new(&folder), 1);
        let mut first = network(N, K);
        checkpointed(2).fit_source(&mut first, source).unwrap();
        // From memory for one epoch, then from the file again.
        checkpointed(3)
            .resume(&mut network(N, K), &data.examples())
            .unwrap();
        let mut last = network(N, K);
        let (history, resumed) = checkpointed(6).resume_source(&mut last, source).unwrap();
        assert_eq!((resumed.epoch, &history), (3, &expected.1));
        assert!(
            last.theta()
                .iter()
                .map(|x| x.to_bits())
                .eq(expected.0.iter().copied())
        );
    }
}

/// A file that is cut during the run: the network has the parameters of the last epoch.
#[test]
fn a_file_that_is_cut_while_training() {
    let data = Data::new(700);
    let source = data.joined("cut", 0..700).blocks_of(10).unwrap();
    let mut first = network(N, K);
    trainer(Adam::new(0.01))
        .batch_size(90)
        .epochs(2)
        .fit_source(&mut first, &source)
        .unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(data.folder.0.join("cut"))
        .unwrap();
    let mut cut = network(N, K);
    let trainer = trainer(Adam::new(0.01)).batch_size(90).epochs(5);
    let error = trainer
        .on_epoch(|epoch| {
            if epoch.record.epoch == 2 {
                file.set_len(300 * 40).unwrap();
            }
            ControlFlow::Continue(())
        })
        .fit_source(&mut cut, &source)
        .unwrap_err();
    let text = "the file has 12000 bytes, expected 28000: it was cut after it was opened";
    assert_eq!(reason(error).1, text);
    assert_eq!(cut, first);
}

/// The place of a number that is not finite is that in the source: not in the batch, and not in the
/// training or validation part.
#[test]
fn places_are_those_in_the_source() {
    let mut data = Data::new(700);
    data.x[(1, 444)] = f64::NEG_INFINITY;
    for block in [1, 10, 1000] {
        let source = data.joined("infinite", 0..700).blocks_of(block).unwrap();
        let halves = vec![
            data.joined("first", 0..400),
            data.joined("second", 400..700),
        ];
        let halves = halves
            .into_iter()
            .map(|half| half.blocks_of(block).unwrap());
        let halves = Shards::new(halves.collect()).unwrap();
        let sources: [&dyn Source<f64>; 2] = [&source, &halves];
        for source in sources {
            for fraction in [None, Some(0.2), Some(0.8)] {
                if fraction.is_some() && block == 1000 {
                    continue; // one block cannot be divided
                }
                let trainer = trainer(Adam::new(0.01)).batch_size(9);
                let trainer = match fraction {
                    None => trainer,
                    Some(fraction) => trainer.validation_fraction(fraction),
                };
                let (what, row, col) = ("X", 1, 444);
                let expected = Error::NonFinite {
                    at: Location::Input { what, row, col },
                    value: f64::NEG_INFINITY,
                };
                let found = trained(trainer, source);
                assert_eq!(found, Err(expected), "{fraction:?} in blocks of {block}");
            }
        }
    }
}
