//! 1 of 6. A network learns XOR by gradient descent and shows where it draws the line.
//!
//! ```sh
//! cargo run --release --example 01_xor
//! ```

use backprop::activation::{Sigmoid, Tanh};
use backprop::nalgebra::DMatrix;
use backprop::{
    BinaryCrossEntropy, Error, Examples, Initialization, Network, Objective, Workspace, rng,
};

fn main() -> Result<(), Error> {
    // One example per column: the inputs (0,0), (0,1), (1,0), (1,1) and their XOR.
    let x = DMatrix::from_row_slice(2, 4, &[0., 0., 1., 1., 0., 1., 0., 1.]);
    let y = DMatrix::from_row_slice(1, 4, &[0., 1., 1., 0.]);
    let examples = Examples::new(&x, &y)?;
    let objective = Objective::new(BinaryCrossEntropy);

    // No straight line separates the ones of XOR from the zeros, so the network needs a hidden
    // layer.
    let mut network = Network::<f64>::builder(2)
        .dense(3, Tanh)
        .dense(1, Sigmoid)
        .initialize(Initialization::GlorotUniform, &mut rng(1))?;
    println!("{network}\n");

    let mut workspace = Workspace::new();
    let mut gradient = vec![0.0; network.parameters()];
    let mut theta = network.theta().as_slice().to_vec();
    for step in 0..=2000 {
        let j = network.gradient_into(&examples, &objective, &mut workspace, &mut gradient)?;
        if step % 400 == 0 {
            println!("step {step:4}: J = {:.4}", j.total());
        }
        theta
            .iter_mut()
            .zip(&gradient)
            .for_each(|(t, g)| *t -= 0.5 * g);
        network.set_theta(&theta)?;
    }

    println!("\n x₁ x₂  XOR  the network's output");
    let a = network.forward(&x)?;
    for k in 0..4 {
        println!("  {}  {}    {}  {:.4}", x[(0, k)], x[(1, k)], y[k], a[k]);
    }

    // All points of the square from −0.5 to 1.5 in one pass, with x₂ pointing up.
    let (width, height) = (64, 24);
    let place = |i: usize, n: usize| -0.5 + 2.0 * (i as f64 + 0.5) / n as f64;
    let grid = DMatrix::from_fn(2, width * height, |row, k| match row {
        0 => place(k % width, width),
        _ => place(height - 1 - k / width, height),
    });
    println!("\nblank below ¼, then · to ½, + to ¾, # above; 0 and 1 are the four examples");
    let mut shades: Vec<char> = network.forward(&grid)?.iter().map(|&a| shade(a)).collect();
    for k in 0..4 {
        let cell = |v: f64, n: usize| ((v + 0.5) / 2.0 * n as f64) as usize;
        let (column, row) = (cell(x[(0, k)], width), cell(x[(1, k)], height));
        shades[(height - 1 - row) * width + column] = if y[k] > 0.5 { '1' } else { '0' };
    }
    for line in shades.chunks(width) {
        println!("  |{}|", line.iter().collect::<String>());
    }
    assert_eq!(a.map(f64::round), y);
    Ok(())
}

fn shade(a: f64) -> char {
    [' ', '·', '+', '#'][((4.0 * a) as usize).min(3)]
}
