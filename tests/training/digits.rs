//! The promise of the `digits` example: a test accuracy of at least 97 % from any seed.

#[path = "../../examples/digits/data.rs"]
mod data;
#[path = "../../examples/digits/training.rs"]
mod training;

use training::{classify, network, train};

#[test]
fn five_seeds_reach_97_percent() {
    let (train_digits, test_digits) = data::load().unwrap();
    assert_eq!((train_digits.y.ncols(), test_digits.y.ncols()), (1347, 450));
    for seed in 1..=5 {
        let mut network = network(seed).unwrap();
        let training = train(&mut network, &train_digits).unwrap();
        assert_eq!(training.path.len() as u64, training.iterations + 1);
        assert!(training.evaluations > training.iterations && training.iterations <= 200);
        let reached = 100.0 * classify(&network, &test_digits).unwrap().accuracy();
        println!("seed {seed}: test accuracy {reached:.2} %");
        assert!(reached >= 97.0, "seed {seed}: {reached} %");
    }
}
