//! A checkpoint with random mutations is refused, or a run continues from it.
//!
//! `BACKPROP_FORGED=1000000 cargo test --test training forged` tries a million checkpoints instead
//! of 10,000. `TMPDIR` on an in-memory file system makes it fast.

use super::forged::{Data, KINDS, resume, saved};
use super::resume::Folder;
use backprop::rand_xoshiro::rand_core::Rng;
use backprop::training::{ConjugateGradient, Lbfgs, Method};
use backprop::{Scalar, rng};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Returns a random part of a value.
fn part<'v>(value: &'v mut Value, rng: &mut impl Rng) -> &'v mut Value {
    let count = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if count == 0 || rng.next_u64().is_multiple_of(5) {
        return value;
    }
    let at = rng.next_u64() as usize % count;
    let inner = match value {
        Value::Array(items) => &mut items[at],
        Value::Object(fields) => fields.values_mut().nth(at).unwrap(),
        _ => unreachable!(),
    };
    part(inner, rng)
}

fn draw<const N: usize>(of: [Value; N], rng: &mut impl Rng) -> Value {
    of[rng.next_u64() as usize % N].clone()
}

fn mutate(whole: &mut Value, rng: &mut impl Rng) {
    let other = part(&mut whole.clone(), rng).clone();
    let target = part(whole, rng);
    let choice = rng.next_u64();
    let at = rng.next_u64() as usize;
    match (target, choice % 8) {
        (Value::Array(items), 0) if !items.is_empty() => drop(items.remove(at % items.len())),
        (Value::Array(items), 1) if !items.is_empty() => {
            items.push(items[at % items.len()].clone());
        }
        (Value::Array(items), 2) => items.truncate(at % (items.len() + 1)),
        (Value::Array(items), 3) => items.push(other),
        (Value::Object(fields), 0) => {
            let name = fields.keys().nth(at % fields.len().max(1)).cloned();
            name.and_then(|name| fields.remove(&name));
        }
        (Value::Object(fields), 1) => drop(fields.insert("more".into(), other)),
        (Value::Object(fields), 2) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            if !names.is_empty() {
                fields.insert(names[at % names.len()].clone(), other);
            }
        }
        (target @ Value::Number(_), 0..4) => {
            let x = target.as_f64().unwrap_or(1.0);
            let factor = [-1.0, 0.0, 2.0, 1.0 + f64::EPSILON, 1e10, 1e-10][at % 6];
            *target = json!(x * factor);
        }
        (target, 4) => *target = other,
        (target, 5) => {
            let whole = [0, 1, 2, 3, 4, 5, 12, 99, u64::MAX, u64::MAX / 2];
            *target = json!(whole[at % whole.len()]);
        }
        (target, _) => {
            let any = [
                json!(null),
                json!(true),
                json!(""),
                json!("f64"),
                json!([]),
                json!({}),
                json!([[]]),
                json!([null]),
                json!(-1),
                json!(i64::MIN),
                json!(-0.5),
                json!(1e308),
                json!(-1e308),
                json!(1e39),
                json!(5e-324),
                json!(vec![0.5; 12]),
                json!(vec![1e300; 12]),
                json!(vec![0.0; 12]),
            ];
            *target = draw(any, rng);
        }
    }
}

/// Prints the forgery if the test panics.
struct Tried<'v>(&'v str, &'v Value);

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {}", self.0, self.1);
        }
    }
}

/// Returns how many forgeries were accepted.
fn any<T: Scalar + Serialize + DeserializeOwned>(tries: u64, seed: u64) -> u64
where
    Lbfgs: Into<Method<T>>,
    ConjugateGradient: Into<Method<T>>,
{
    let data = Data::<T>::new();
    let genuine = KINDS.map(|kind| saved(kind, &data));
    let folder = Folder::new(&format!("any-{seed}"));
    let mut random = rng(seed);
    let mut accepted = 0;
    for i in 0..tries {
        let at = i as usize % KINDS.len();
        let mut forged = genuine[at].clone();
        for _ in 0..1 + random.next_u64() % 3 {
            mutate(&mut forged, &mut random);
        }
        let tried = Tried(KINDS[at], &forged);
        accepted += u64::from(resume(KINDS[at], (&data, &folder.0), &forged).is_ok());
        drop(tried);
    }
    accepted
}

/// Every mutated checkpoint is refused without any change, or the run continues from it.
#[test]
fn any_mutation() {
    let tries = std::env::var("BACKPROP_FORGED").map(|tries| tries.parse().unwrap());
    let tries: u64 = tries.unwrap_or(10_000);
    let accepted = std::thread::scope(|scope| {
        let double = scope.spawn(|| any::<f64>(tries / 2, 1));
        let single = scope.spawn(|| any::<f32>(tries - tries / 2, 2));
        [double.join().unwrap(), single.join().unwrap()]
    });
    println!("{accepted:?} of {tries} accepted");
    // A change of θ, or of a cost that is not the best, gives a valid state, so some checkpoints
    // must be accepted.
    assert!(
        accepted.iter().all(|&count| count > tries / 100),
        "{accepted:?}"
    );
}
