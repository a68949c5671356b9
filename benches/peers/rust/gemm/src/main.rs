//! Rates of square matrix products in GFLOP/s, one JSON record per line. The bound of a row is
//! computed from them.
//!
//! The program takes the options of the rows (`--threads`, `--dtypes`, `--min-time`, `--tries`).

#[path = "../../../../common/mod.rs"]
mod common;

use common::{Options, Random, Records, Timing};
use faer::{Accum, MatMut, MatRef, Par};
use std::hint::black_box;

const SIZES: [usize; 4] = [256, 512, 1024, 2048];
/// Plans of `nano-gemm` are for small products.
const NANO: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_env();
    let threads = options.threads[0];
    // SAFETY: no thread has been started yet.
    unsafe {
        std::env::set_var("RAYON_NUM_THREADS", threads.to_string());
        std::env::set_var("MATMUL_NUM_THREADS", threads.to_string());
    }
    let mut records = Records::new(&options)?;
    for dtype in &options.dtypes {
        for n in SIZES {
            let rates = if dtype == "f32" {
                rates::<f32>(n, threads, &options)
            } else {
                rates::<f64>(n, threads, &options)
            };
            for (name, timing) in rates {
                let gflops = 2e-3 * (n as f64).powi(3) / timing.median_us;
                records.line(&format!(
                    "{{\"impl\": \"{name}\", \"row\": \"sq{n}\", \"dtype\": \"{dtype}\", \
                     \"threads\": {threads}, \"median_us\": {:.3}, \"min_us\": {:.3}, \
                     \"foreign\": {:.3}, \"gflops\": {gflops:.2}}}",
                    timing.median_us, timing.min_us, timing.foreign,
                ))?;
            }
        }
    }
    Ok(())
}

trait Scalar: faer::traits::ComplexField + Copy + Into<f64> + 'static {
    const ZERO: Self;
    const ONE: Self;
    fn of(x: f64) -> Self;
    /// C = A B, all n × n and column-major.
    ///
    /// # Safety
    /// Each pointer must be valid for n² numbers, and C must not overlap the others.
    unsafe fn matrixmultiply(n: usize, a: *const Self, b: *const Self, c: *mut Self);
    fn nano(n: usize) -> nano_gemm::Plan<Self>;
}

macro_rules! scalar {
    ($scalar:ty, $multiply:path, $plan:ident) => {
        impl Scalar for $scalar {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn of(x: f64) -> Self {
                x as Self
            }
            unsafe fn matrixmultiply(n: usize, a: *const Self, b: *const Self, c: *mut Self) {
                let stride = n as isize;
                // SAFETY: the caller upholds the contract of the trait.
                unsafe { $multiply(n, n, n, 1.0, a, 1, stride, b, 1, stride, 0.0, c, 1, stride) }
            }
            fn nano(n: usize) -> nano_gemm::Plan<Self> {
                nano_gemm::Plan::$plan(n, n, n)
            }
        }
    };
}

scalar!(f32, matrixmultiply::sgemm, new_colmajor_lhs_and_dst_f32);
scalar!(f64, matrixmultiply::dgemm, new_colmajor_lhs_and_dst_f64);

fn rates<T: Scalar>(n: usize, threads: usize, options: &Options) -> Vec<(&'static str, Timing)> {
    let mut random = Random::new(1);
    let mut matrix = || -> Vec<T> { (0..n * n).map(|_| T::of(random.uniform() - 0.5)).collect() };
    let (a, b) = (matrix(), matrix());
    let mut c = vec![T::ZERO; n * n];
    let (gemm_parallel, faer_parallel) = match threads {
        1 => (gemm::Parallelism::None, Par::Seq),
        _ => (gemm::Parallelism::Rayon(threads), Par::rayon(threads)),
    };
    let stride = n as isize;
    let mut found = Vec::new();
    let mut measure = |name, product: &mut dyn FnMut(*const T, *const T, *mut T)| {
        c.fill(T::ZERO);
        let timing = Timing::of(options.min_time, options.tries, || {
            product(
                black_box(a.as_ptr()),
                black_box(b.as_ptr()),
                black_box(c.as_mut_ptr()),
            );
        });
        // Compares an entry in the middle with its sum.
        let (i, j) = (n / 2, n / 3);
        let sum: f64 = (0..n)
            .map(|k| a[i + k * n].into() * b[k + j * n].into())
            .sum();
        let error = (c[i + j * n].into() - sum).abs();
        assert!(error < 1e-3, "{name} is wrong by {error}");
        found.push((name, timing));
    };
    // SAFETY: all matrices are n × n and column-major, and c does not overlap the others.
    unsafe {
        measure("gemm", &mut |a, b, c| {
            gemm::gemm(
                n,
                n,
                n,
                c,
                stride,
                1,
                false,
                a,
                stride,
                1,
                b,
                stride,
                1,
                T::ZERO,
                T::ONE,
                false,
                false,
                false,
                gemm_parallel,
            );
        });
        measure("faer", &mut |a, b, c| {
            let c = MatMut::from_raw_parts_mut(c, n, n, 1, stride);
            let a = MatRef::from_raw_parts(a, n, n, 1, stride);
            let b = MatRef::from_raw_parts(b, n, n, 1, stride);
            faer::linalg::matmul::matmul(c, Accum::Replace, a, b, T::ONE, faer_parallel);
        });
        measure("matrixmultiply", &mut |a, b, c| {
            T::matrixmultiply(n, a, b, c)
        });
        if n <= NANO && threads == 1 {
            let plan = T::nano(n);
            measure("nano-gemm", &mut |a, b, c| {
                plan.execute_unchecked(
                    n,
                    n,
                    n,
                    c,
                    1,
                    stride,
                    a,
                    1,
                    stride,
                    b,
                    1,
                    stride,
                    T::ZERO,
                    T::ONE,
                    false,
                    false,
                );
            });
        }
    }
    found
}
