//! Random orthogonal matrices.

use crate::allocation::allocate;
use crate::error::Error;

/// Room for the decomposition of a matrix.
pub(super) struct Room {
    a: Vec<f64>,
    q: Vec<f64>,
}

impl Room {
    /// Allocates room for matrices of up to `len` entries.
    pub(super) fn new(len: usize) -> Result<Self, Error> {
        let what = "the room of the initialiser";
        Ok(Self {
            a: allocate(what, (len, 1), 0.0)?,
            q: allocate(what, (len, 1), 0.0)?,
        })
    }

    /// Returns Q of A = Q R, where R has a non-negative diagonal and A has standard normal
    /// entries. A and Q have the same shape, with at least as many rows as columns, column-major.
    ///
    /// With these signs Q is unique, and uniformly distributed (Mezzadri 2007,
    /// arXiv:math-ph/0609050).
    pub(super) fn draw(
        &mut self,
        (rows, cols): (usize, usize),
        mut normal: impl FnMut() -> f64,
    ) -> &[f64] {
        let (a, q) = (&mut self.a[..rows * cols], &mut self.q[..rows * cols]);
        a.iter_mut().for_each(|a| *a = normal());
        q.fill(0.0);
        if rows == 0 {
            return q;
        }
        for (j, column) in q.chunks_mut(rows).enumerate() {
            column[j] = 1.0;
        }
        // Householder's reflections, from the first column on. What is left of a column from its
        // diagonal on makes room for the vector of its reflection.
        for j in 0..cols {
            let (now, later) = a[j * rows..].split_at_mut(rows);
            let vector = &mut now[j..];
            let diagonal = -dot(vector, vector).sqrt().copysign(vector[0]);
            // Only the sign of R's diagonal is needed. It is the sign of this column of Q.
            q[j * rows + j] = 1.0_f64.copysign(diagonal);
            vector[0] -= diagonal;
            let square = dot(vector, vector);
            if square > 0.0 {
                let scale = (2.0 / square).sqrt();
                vector.iter_mut().for_each(|v| *v *= scale);
            }
            for column in later.chunks_mut(rows) {
                reflect(vector, &mut column[j..]);
            }
        }
        // Q = H₁ H₂ … applied to the first columns of ±I, from the last reflection on.
        for j in (0..cols).rev() {
            for column in q[j * rows..].chunks_mut(rows) {
                reflect(&a[j * rows..][j..rows], &mut column[j..]);
            }
        }
        q
    }
}

/// x ← x − v (v·x), a reflection if ‖v‖² = 2.
fn reflect(v: &[f64], x: &mut [f64]) {
    let factor = dot(v, x);
    x.iter_mut().zip(v).for_each(|(x, v)| *x -= factor * v);
}

/// Returns x·y from eight partial sums, in the same order on every platform.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (x, y) in x.iter().zip(y) {
        (0..8).for_each(|i| sums[i] += x[i] * y[i]);
    }
    let rest = x_rest.iter().zip(y_rest).map(|(x, y)| x * y);
    sums.into_iter()
        .chain(rest)
        .fold(0.0, |sum, term| sum + term)
}
