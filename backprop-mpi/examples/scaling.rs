//! Measures training on all ranks that `mpirun` starts: the time of a step, the time of its
//! messages, and the bytes that rank 0 sends. `benches/scaling.py` runs it.
//!
//! ```sh
//! cargo build --release -p backprop-mpi --example scaling
//! RAYON_NUM_THREADS=1 mpirun -n 2 target/release/examples/scaling --sizes 784-512-512-10
//! ```

use backprop::activation::{Relu, Sigmoid, Softmax};
use backprop::distributed::{Communicator, Pieces, PiecesMut};
use backprop::nalgebra::DMatrix;
use backprop::training::{Adam, Trainer};
use backprop::{
    AnyCost, BinaryCrossEntropy, CategoricalCrossEntropy, Examples, Initialization, Network,
    Objective, rng,
};
use backprop_mpi::MpiCommunicator;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A communicator that counts the time and the bytes of its calls.
#[derive(Debug)]
struct Counted<'c> {
    inner: &'c MpiCommunicator,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    time: Duration,
    calls: u64,
    sent: u64,
}

impl Counted<'_> {
    fn count<R>(&self, sent: usize, call: impl FnOnce() -> R) -> R {
        let clock = Instant::now();
        let done = call();
        if let Ok(mut counts) = self.counts.lock() {
            counts.time += clock.elapsed();
            counts.calls += 1;
            counts.sent += sent as u64;
        }
        done
    }

    fn counts(&self) -> Counts {
        self.counts.lock().map(|counts| *counts).unwrap_or_default()
    }
}

impl Communicator for Counted<'_> {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn all_to_all(&self, send: Pieces<'_>, receive: PiecesMut<'_>) -> Result<(), backprop::Error> {
        let own = send.lens[self.rank()];
        let call = || self.inner.all_to_all(send, receive);
        self.count(send.bytes.len() - own, call)
    }

    fn all_gather(&self, send: &[u8], receive: PiecesMut<'_>) -> Result<(), backprop::Error> {
        let others = self.size() - 1;
        self.count(send.len() * others, || self.inner.all_gather(send, receive))
    }

    fn broadcast(&self, root: usize, bytes: &mut [u8]) -> Result<(), backprop::Error> {
        self.count(0, || self.inner.broadcast(root, bytes))
    }

    fn barrier(&self) -> Result<(), backprop::Error> {
        self.count(0, || self.inner.barrier())
    }
}

fn option(name: &str, default: &str) -> String {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1).unwrap_or(default.to_owned())
}

/// Measures the messages of a step alone: a note, the sums of the slices, and the slices.
fn messages(ranks: &MpiCommunicator, parameters: usize) -> Result<(), Box<dyn std::error::Error>> {
    const NOTE: usize = 520;
    let (rank, size) = (ranks.rank(), ranks.size());
    let limit = |rank: usize| size_of::<f32>() * (parameters * rank / size);
    let slices: Vec<usize> = (0..size)
        .map(|rank| limit(rank + 1) - limit(rank))
        .collect();
    let sums = vec![0; size * slices[rank]];
    let (whole, note) = (vec![0; limit(size)], [0; NOTE]);
    let notes = vec![0; NOTE * size];
    let (mut all_sums, mut all, mut all_notes) = (sums.clone(), whole.clone(), notes);
    let own = vec![slices[rank]; size];
    let mut times = Vec::new();
    for _ in 0..200 {
        ranks.barrier()?;
        let clock = Instant::now();
        let receive = PiecesMut {
            bytes: &mut all_notes,
            lens: &vec![NOTE; size],
        };
        ranks.all_gather(&note, receive)?;
        let receive = PiecesMut {
            bytes: &mut all_sums,
            lens: &own,
        };
        let send = Pieces {
            bytes: &whole,
            lens: &slices,
        };
        ranks.all_to_all(send, receive)?;
        let receive = PiecesMut {
            bytes: &mut all,
            lens: &slices,
        };
        ranks.all_gather(&whole[..slices[rank]], receive)?;
        times.push(clock.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    if rank == 0 {
        println!(
            "{{\"ranks\": {size}, \"parameters\": {parameters}, \"messages_ms\": {:.4}}}",
            1e3 * times[times.len() / 2],
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sizes = option("--sizes", "784-512-512-10");
    let sizes: Vec<usize> = sizes.split('-').map(str::parse).collect::<Result<_, _>>()?;
    let (batch, batches): (usize, usize) = (
        option("--batch", "4096").parse()?,
        option("--batches", "4").parse()?,
    );
    let epochs: u64 = option("--epochs", "8").parse()?;
    let [inputs, hidden @ .., outputs] = &sizes[..] else {
        return Err("--sizes has the inputs and the outputs".into());
    };
    let m = batch * batches;
    let x = DMatrix::from_fn(*inputs, m, |i, k| (0.9 * i as f32 + 0.37 * k as f32).sin());
    let y = DMatrix::from_fn(*outputs, m, |i, k| if k % outputs == i { 1.0 } else { 0.0 });
    let mut builder = Network::<f32>::builder(*inputs);
    let small = hidden.len() == 1;
    for &units in hidden {
        builder = if small {
            builder.dense(units, Sigmoid)
        } else {
            builder.dense(units, Relu)
        };
    }
    let (builder, cost): (_, AnyCost) = if small {
        (builder.dense(*outputs, Sigmoid), BinaryCrossEntropy)
    } else {
        (builder.dense(*outputs, Softmax), CategoricalCrossEntropy)
    };
    let mut network = builder.initialize(Initialization::GlorotUniform, &mut rng(1))?;
    let ranks = MpiCommunicator::initialize()?;
    if option("--messages", "no") == "only" {
        return messages(&ranks, network.parameters());
    }
    let counted = Counted {
        inner: &ranks,
        counts: Mutex::default(),
    };
    // The first epoch warms up.
    let start = Cell::new((Instant::now(), Counts::default()));
    let mut trainer = Trainer::new(Objective::new(cost), Adam::new(1e-4))
        .epochs(epochs + 1)
        .batch_size(batch)
        .distributed(&counted)
        .on_epoch(|epoch| {
            if epoch.record.epoch == 1 {
                start.set((Instant::now(), counted.counts()));
            }
            ControlFlow::Continue(())
        });
    trainer.fit(&mut network, &Examples::new(&x, &y)?)?;
    drop(trainer);
    let (clock, before) = start.get();
    let (time, after) = (clock.elapsed(), counted.counts());
    if ranks.rank() == 0 {
        let steps = epochs * batches as u64;
        println!(
            "{{\"ranks\": {}, \"parameters\": {}, \"batch\": {batch}, \"step_ms\": {:.4}, \
             \"messages_ms\": {:.4}, \"calls\": {:.1}, \"sent_bytes\": {}}}",
            ranks.size(),
            network.parameters(),
            1e3 * time.as_secs_f64() / steps as f64,
            1e3 * (after.time - before.time).as_secs_f64() / steps as f64,
            (after.calls - before.calls) as f64 / steps as f64,
            (after.sent - before.sent) / steps,
        );
    }
    Ok(())
}
