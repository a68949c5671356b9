//! Ranks whose processors have other instructions compute with those that all have.

use super::wrapped::Wrapped;
use super::{numbers, on_ranks};
use backprop::activation::{Identity, Tanh};
use backprop::distributed::Communicator;
use backprop::training::{Adam, Trainer};
use backprop::{AnyCost, Examples, Initialization, Network, Objective, rng};
use std::process::Command;

/// Tells the child which run to make.
const RUN: &str = "BACKPROP_TEST_LEVELS";

/// The level without special instructions, and the words of a note that hold the level and the
/// checksum.
const PORTABLE: u64 = 1;
const LEVEL: usize = 5;
const CHECK: usize = 8;

/// Changes the level in a note, and its checksum: the outputs of SplitMix64.
fn lower(note: &mut [u8]) {
    let word = |k: usize| 8 * k..8 * k + 8;
    note[word(LEVEL)].copy_from_slice(&PORTABLE.to_le_bytes());
    let mut checksum = 1_u64;
    for k in (0..note.len() / 8).filter(|&k| k != CHECK) {
        let value = u64::from_le_bytes(note[word(k)].try_into().unwrap());
        let z = checksum.wrapping_add(value.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        checksum = z ^ z >> 31;
    }
    note[word(CHECK)].copy_from_slice(&checksum.to_le_bytes());
}

fn train(rank: Option<&dyn Communicator>) -> String {
    let (x, y) = (numbers(5, 1500, 0.1), numbers(2, 1500, 0.7));
    let mut network = Network::<f64>::builder(5)
        .dense(9, Tanh)
        .dense(2, Identity)
        .initialize(Initialization::GlorotUniform, &mut rng(3))
        .unwrap();
    let trainer = Trainer::new(Objective::new(AnyCost::SquaredError), Adam::new(0.01)).epochs(3);
    let mut trainer = match rank {
        None => trainer,
        Some(rank) => trainer.distributed(rank),
    };
    let examples = Examples::new(&x, &y).unwrap();
    trainer.fit(&mut network, &examples).unwrap();
    let bits = network
        .theta()
        .iter()
        .map(|x| format!("{:016x}", x.to_bits()));
    bits.collect::<Vec<_>>().join(" ")
}

/// Runs in a process of its own, started by the test below, because the level is lowered for all of
/// it.
#[test]
fn child() {
    let bits = match std::env::var(RUN).as_deref() {
        Ok("ranks") => {
            let all = on_ranks(2, |rank| {
                let wrapped = Wrapped::new(rank, &|k, _, pieces| {
                    if k == 0 {
                        lower(&mut pieces[1]);
                    }
                });
                train(Some(&wrapped))
            });
            assert_eq!(all[0], all[1]);
            all[0].clone()
        }
        Ok(_) => train(None),
        Err(_) => return,
    };
    println!("bits: {bits}.");
}

#[test]
fn the_lowest_level_is_taken() {
    let bits = |run: &str, level: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["distributed::levels::child", "--exact", "--nocapture"])
            .env(RUN, run)
            .env("BACKPROP_SIMD", level)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let (_, rest) = text.split_once("bits: ").unwrap();
        rest.split_once('.').unwrap().0.to_owned()
    };
    let portable = bits("alone", "off");
    assert_eq!(bits("ranks", "avx512"), portable);
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        assert_ne!(bits("alone", "avx512"), portable);
    }
}
