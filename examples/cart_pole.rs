//! Balancing a pole on a cart by double deep Q-learning, in a custom training loop. Prints the
//! learning curve.
//!
//! ```sh
//! cargo run --release --example cart_pole
//! ```
//!
//! The network estimates Q(s, a), the discounted sum of rewards after action a in state s, with one
//! output for each action. No `Cost` expresses its loss: the targets come from another network, and
//! only the action that was taken has one. The loop therefore computes the derivative of the loss
//! with respect to each output, and `vjp_into` turns it into the gradient.
//!
//! The cart and pole are those of Barto, Sutton and Anderson (1983, doi:10.1109/TSMC.1983.6313077)
//! without friction. The method is that of van Hasselt, Guez and Silver (2016, arXiv:1509.06461),
//! with a target network that follows slowly.

use backprop::activation::{Identity, Relu};
use backprop::nalgebra::DMatrix;
use backprop::rand_xoshiro::{Xoshiro256PlusPlus, rand_core::Rng};
use backprop::training::{Adam, Optimizer};
use backprop::{Initialization, Network, VjpTargets, Workspace, rng};

/// Steps after which an episode ends, with the pole balanced.
const STEPS: usize = 500;
/// The task is solved once 100 episodes in a row last this long on average.
const SOLVED: f64 = 475.0;
const MOST_EPISODES: usize = 1000;

const BATCH: usize = 64;
/// The number of batches after each episode in which the pole fell.
const BATCHES: usize = 100;
/// The discount γ: a reward is multiplied by γ for each step until it is received.
const DISCOUNT: f64 = 0.99;
/// τ of the target network: θ⁻ ← τ θ + (1 − τ) θ⁻.
const FOLLOW: f64 = 0.01;

fn main() -> Result<(), backprop::Error> {
    let mut random = rng(1);
    let mut agent = Agent::new(&mut random)?;
    let mut lengths: Vec<f64> = Vec::new();
    println!("episodes  mean steps of the last 10");
    while mean_of_last(100, &lengths) < SOLVED && lengths.len() < MOST_EPISODES {
        // The fraction of random actions.
        let exploration = (-(lengths.len() as f64) / 20.0).exp();
        let mut cart = CartPole::new(&mut random);
        let mut steps = 0;
        while !cart.failed() && steps < STEPS {
            let before = cart.inputs();
            let action = match uniform(&mut random) < exploration {
                true => usize::from(uniform(&mut random) < 0.5),
                false => agent.best_action(&before)?,
            };
            cart.step(action);
            steps += 1;
            agent.memory.push(Step {
                before,
                action,
                after: cart.inputs(),
                failed: cart.failed(),
            });
        }
        // Nothing can be learned from an episode in which the pole stays up, so the policy is kept.
        if cart.failed() {
            for _ in 0..BATCHES {
                agent.learn(&mut random)?;
            }
        }
        lengths.push(steps as f64);
        if lengths.len().is_multiple_of(10) {
            let mean = mean_of_last(10, &lengths);
            let bar = "#".repeat(mean as usize / 10);
            println!("{:8}  {mean:5.0}  {bar}", lengths.len());
        }
    }
    let mean = mean_of_last(100, &lengths);
    assert!(mean >= SOLVED, "not solved: {mean} steps");
    println!(
        "solved after {} episodes: {mean} steps on average",
        lengths.len()
    );
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

    /// Returns the state for the network, scaled to a size of about 1.
    fn inputs(&self) -> [f64; 4] {
        let [x, v, angle, omega] = self.state;
        [x / 2.4, v / 2.0, angle / 0.2, omega / 2.0]
    }

    /// Returns whether the cart is off the track, or the pole beyond 12°.
    fn failed(&self) -> bool {
        self.state[0].abs() > 2.4 || self.state[2].abs() > 12.0_f64.to_radians()
    }
}

/// One step of an episode, kept in memory for learning.
#[derive(Clone, Copy)]
struct Step {
    before: [f64; 4],
    action: usize,
    after: [f64; 4],
    failed: bool,
}

struct Agent {
    network: Network<f64>,
    /// The network that computes the targets. Its θ⁻ follows θ slowly.
    target: Network<f64>,
    memory: Vec<Step>,
    adam: Adam<f64>,
    workspace: Workspace<f64>,
}

impl Agent {
    fn new(random: &mut Xoshiro256PlusPlus) -> Result<Self, backprop::Error> {
        let network = Network::builder(4)
            .dense(64, Relu)
            .dense(64, Relu)
            .dense(2, Identity)
            .initialize(Initialization::HeUniform, random)?;
        Ok(Self {
            target: network.clone(),
            network,
            memory: Vec::new(),
            adam: Adam::new(1e-3),
            workspace: Workspace::new(),
        })
    }

    /// Returns the action with the larger Q(s, a), from a pass with one example.
    fn best_action(&mut self, inputs: &[f64; 4]) -> Result<usize, backprop::Error> {
        let q = self.network.forward_into(inputs, &mut self.workspace)?;
        Ok(q.column(0).imax())
    }

    /// Performs one step of Adam on a random batch from the memory.
    fn learn(&mut self, random: &mut Xoshiro256PlusPlus) -> Result<(), backprop::Error> {
        let any = |_| self.memory[(uniform(random) * self.memory.len() as f64) as usize];
        let batch: Vec<Step> = (0..BATCH).map(any).collect();
        let before = DMatrix::from_fn(4, BATCH, |i, k| batch[k].before[i]);
        let after = DMatrix::from_fn(4, BATCH, |i, k| batch[k].after[i]);

        // The network chooses the next action a′, and the target network estimates its value: y =
        // 1 + γ Q⁻(s′, a′). If the pole fell, no state follows, and y = 1.
        let q = self.network.forward_into(&after, &mut self.workspace)?;
        let chosen: Vec<usize> = q.column_iter().map(|q| q.imax()).collect();
        let q = self.target.forward_into(&after, &mut self.workspace)?;
        let target = |k: usize| match batch[k].failed {
            true => 1.0,
            false => 1.0 + DISCOUNT * q[(chosen[k], k)],
        };
        let y: Vec<f64> = (0..BATCH).map(target).collect();

        // The slope of Huber's loss of Q(s, a) − y for the action taken, and 0 for the other.
        let q = self.network.forward_into(&before, &mut self.workspace)?;
        let slope = DMatrix::from_fn(2, BATCH, |a, k| match a == batch[k].action {
            true => (q[(a, k)] - y[k]).clamp(-1.0, 1.0) / BATCH as f64,
            false => 0.0,
        });
        let mut gradient = vec![0.0; self.network.parameters()];
        let wanted = VjpTargets::of_parameters(&mut gradient[..]);
        self.network
            .vjp_into(&before, &slope, &mut self.workspace, wanted)?;

        let mut theta = self.network.theta().as_slice().to_vec();
        self.adam.step(&mut theta, &gradient, 1.0)?;
        self.network.set_theta(&theta)?;
        let target = self.network.theta() * FOLLOW + self.target.theta() * (1.0 - FOLLOW);
        self.target.set_theta(target.as_slice())
    }
}

/// Returns a number in [0, 1).
fn uniform(random: &mut Xoshiro256PlusPlus) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns the mean of the last `n` lengths, or 0 if there are fewer.
fn mean_of_last(n: usize, lengths: &[f64]) -> f64 {
    match lengths.len().checked_sub(n) {
        None => 0.0,
        Some(first) => lengths[first..].iter().sum::<f64>() / n as f64,
    }
}
