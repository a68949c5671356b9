//! Balancing a pole on a cart by deep Q-learning, in a loop of its own (Mnih et al. 2015,
//! doi:10.1038/nature14236; the cart and pole of Barto, Sutton, Anderson 1983,
//! doi:10.1109/TSMC.1983.6313077, without friction). Draws `target/cart_pole.svg`.
//!
//! ```sh
//! cargo run --release --example cart_pole
//! ```
//!
//! The network estimates Q(s, a): the discounted sum of rewards after action a in state s, one
//! output for each action. Its loss is not one of J: the target of an output is made from other
//! outputs, and only the action that was taken has one. So the loop computes the slope of the loss
//! by each output, and `vjp_into` takes it from there to the gradient of θ.

use backprop::activation::{Identity, Relu};
use backprop::nalgebra::{DMatrix, DMatrixView};
use backprop::rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng};
use backprop::training::{Adam, Optimizer};
use backprop::{Initialization, Network, Workspace, rng};
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// An episode ends here, and the pole counts as balanced.
const STEPS: usize = 500;
/// The task is solved if 100 episodes in a row last this long on average.
const SOLVED: f64 = 475.0;
const EPISODES: usize = 1000;

const BATCH: usize = 64;
/// Steps that are kept to learn from.
const MEMORY: usize = 20_000;
/// γ, by which a reward counts less for each step that it is away.
const DISCOUNT: f64 = 0.99;
/// τ of the target network: θ⁻ ← τ θ + (1 − τ) θ⁻.
const TAU: f64 = 0.005;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut agent, mut random) = (Agent::new()?, rng(1));
    let mut lengths: Vec<f64> = Vec::new();
    println!("episode  steps, mean of the last 100  exploration");
    while lengths.len() < EPISODES && mean_of_last(&lengths) < SOLVED {
        // From random actions to almost none.
        let exploration = 0.01 + 0.99 * (-(lengths.len() as f64) / 40.0).exp();
        let mut cart = CartPole::new(&mut random);
        let mut steps = 0;
        while !cart.failed() && steps < STEPS {
            let action = match uniform(&mut random) < exploration {
                true => usize::from(uniform(&mut random) < 0.5),
                false => agent.best_action(&cart.state)?,
            };
            let before = cart.state;
            cart.step(action);
            steps += 1;
            agent.remember(Step {
                before,
                action,
                after: cart.state,
                failed: cart.failed(),
            });
            agent.learn(&mut random)?;
        }
        lengths.push(steps as f64);
        if lengths.len() % 50 == 0 {
            let mean = mean_of_last(&lengths);
            println!("{:7}  {mean:27.1}  {exploration:11.3}", lengths.len());
        }
    }
    let mean = mean_of_last(&lengths);
    println!("{:7}  {mean:27.1}", lengths.len());
    assert!(mean >= SOLVED, "not solved: {mean}");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("cart_pole.svg");
    draw(&file, &lengths)?;
    println!("\nsolved; picture: {}", file.display());
    Ok(())
}

/// A cart on a track with a pole hinged to it.
struct CartPole {
    /// Position in m, velocity in m/s, angle of the pole from upright in rad, angular velocity.
    state: [f64; 4],
}

impl CartPole {
    /// Nearly upright, nearly at rest.
    fn new(random: &mut Xoshiro256PlusPlus) -> Self {
        let state = [(); 4].map(|()| 0.1 * uniform(random) - 0.05);
        Self { state }
    }

    /// Pushes the cart to the left (0) or to the right (1) for 0.02 s.
    fn step(&mut self, action: usize) {
        const GRAVITY: f64 = 9.8;
        const CART: f64 = 1.0;
        const POLE: f64 = 0.1;
        /// From the hinge to the middle of the pole.
        const LENGTH: f64 = 0.5;
        const FORCE: f64 = 10.0;
        const TIME: f64 = 0.02;

        let [x, v, angle, omega] = self.state;
        let force = if action == 1 { FORCE } else { -FORCE };
        let (sin, cos) = angle.sin_cos();
        let total = CART + POLE;
        let pushed = (force + POLE * LENGTH * omega * omega * sin) / total;
        let alpha =
            (GRAVITY * sin - cos * pushed) / (LENGTH * (4.0 / 3.0 - POLE * cos * cos / total));
        let acceleration = pushed - POLE * LENGTH * alpha * cos / total;
        self.state = [
            x + TIME * v,
            v + TIME * acceleration,
            angle + TIME * omega,
            omega + TIME * alpha,
        ];
    }

    /// Off the track, or the pole beyond 12°.
    fn failed(&self) -> bool {
        self.state[0].abs() > 2.4 || self.state[2].abs() > 12.0_f64.to_radians()
    }
}

/// One step of an episode, to learn from.
#[derive(Clone, Copy)]
struct Step {
    before: [f64; 4],
    action: usize,
    after: [f64; 4],
    failed: bool,
}

struct Agent {
    network: Network<f64>,
    /// The same network with θ⁻, which follows θ slowly. Targets come from it.
    target: Network<f64>,
    memory: Vec<Step>,
    /// Where the next step goes once the memory is full.
    next: usize,
    adam: Adam<f64>,
    workspace: Workspace<f64>,
}

impl Agent {
    fn new() -> Result<Self, backprop::Error> {
        let network = Network::builder(4)
            .dense(64, Relu)
            .dense(64, Relu)
            .dense(2, Identity)
            .initialize(Initialization::HeUniform, &mut rng(1))?;
        Ok(Self {
            target: network.clone(),
            network,
            memory: Vec::new(),
            next: 0,
            adam: Adam::new(5e-4),
            workspace: Workspace::new(),
        })
    }

    /// The action with the larger Q(s, a), by a pass of one example.
    fn best_action(&mut self, state: &[f64; 4]) -> Result<usize, backprop::Error> {
        let s = DMatrixView::from_slice(state, 4, 1);
        let q = self.network.forward_into(s, &mut self.workspace)?;
        Ok(usize::from(q[1] > q[0]))
    }

    fn remember(&mut self, step: Step) {
        match self.memory.len() < MEMORY {
            true => self.memory.push(step),
            false => self.memory[self.next] = step,
        }
        self.next = (self.next + 1) % MEMORY;
    }

    /// One step of Adam on a random batch of the memory.
    fn learn(&mut self, random: &mut Xoshiro256PlusPlus) -> Result<(), backprop::Error> {
        if self.memory.len() < 10 * BATCH {
            return Ok(());
        }
        let any = |_| self.memory[(uniform(random) * self.memory.len() as f64) as usize];
        let batch: Vec<Step> = (0..BATCH).map(any).collect();
        let before = DMatrix::from_fn(4, BATCH, |i, k| batch[k].before[i]);
        let after = DMatrix::from_fn(4, BATCH, |i, k| batch[k].after[i]);

        // y = r + γ max Q⁻(s′, a), and r = 1 alone where the pole fell.
        let q = self.target.forward_into(&after, &mut self.workspace)?;
        let y: Vec<f64> = (0..BATCH)
            .map(|k| match batch[k].failed {
                true => 1.0,
                false => 1.0 + DISCOUNT * q.column(k).max(),
            })
            .collect();

        // The slope of Huber's loss of Q(s, a) − y, for the action that was taken; 0 for the other.
        let q = self.network.forward_into(&before, &mut self.workspace)?;
        let slope = DMatrix::from_fn(2, BATCH, |a, k| {
            if a == batch[k].action {
                (q[(a, k)] - y[k]).clamp(-1.0, 1.0) / BATCH as f64
            } else {
                0.0
            }
        });
        let mut gradient = vec![0.0; self.network.parameters()];
        let wanted = (Some(&mut gradient[..]), None);
        self.network
            .vjp_into(&before, &slope, &mut self.workspace, wanted)?;

        let mut theta = self.network.theta().as_slice().to_vec();
        self.adam.step(&mut theta, &gradient, 1.0)?;
        self.network.set_theta(&theta)?;
        let target = self.network.theta() * TAU + self.target.theta() * (1.0 - TAU);
        self.target.set_theta(target.as_slice())
    }
}

/// A number in [0, 1).
fn uniform(random: &mut Xoshiro256PlusPlus) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// 0 before there are 100 episodes.
fn mean_of_last(lengths: &[f64]) -> f64 {
    match lengths.len().checked_sub(100) {
        None => 0.0,
        Some(first) => lengths[first..].iter().sum::<f64>() / 100.0,
    }
}

/// The length of each episode.
fn draw(file: &Path, lengths: &[f64]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (640, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(14)
        .x_label_area_size(38)
        .y_label_area_size(46)
        .build_cartesian_2d(0..lengths.len(), 0.0..STEPS as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("episode")
        .y_desc("steps balanced")
        .light_line_style(TRANSPARENT)
        .draw()?;
    let points = lengths.iter().copied().enumerate();
    chart.draw_series(LineSeries::new(points, RGBColor(31, 111, 235)))?;
    root.present()?;
    Ok(())
}
