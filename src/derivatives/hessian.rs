//! The full Hessian and its diagonal, for small networks.

use crate::allocation::allocate;
use crate::cost::Cost;
use crate::error::Error;
use crate::examples::Examples;
use crate::gradient::zeros;
use crate::layer::Layer;
use crate::network::Network;
use crate::objective::Objective;
use crate::scalar::{Scalar, real};
use crate::workspace::Workspace;
use nalgebra::{DMatrix, DVector};

/// The number of unit vectors that share a forward pass.
const TOGETHER: usize = 8;

impl<T: Scalar, L: Layer<T>> Network<T, L> {
    /// Returns the Hessian H = ∂²J/∂θ², P × P, including the penalty.
    ///
    /// The matrix is exactly symmetric. Computing it takes P products, so the method is meant for
    /// networks with at most a few hundred parameters. There is no `_into` variant.
    ///
    /// Derivation: [(31)](crate::derivation#hessian-product).
    ///
    /// # Errors
    /// - The errors of [`hessian_product`](Self::hessian_product).
    /// - [`Error::TooLarge`] if there is no memory for P² scalars.
    ///
    /// # Example
    /// ```
    /// use backprop::nalgebra::DMatrix;
    /// use backprop::{Examples, Network, Objective, SquaredError, activation::Identity};
    ///
    /// let network = Network::<f64>::builder(1).dense(1, Identity).with_theta(&[0.5, 2.0])?;
    /// let (x, y) = (DMatrix::repeat(1, 1, 3.0), DMatrix::repeat(1, 1, 1.0));
    /// let (examples, objective) = (Examples::new(&x, &y)?, Objective::new(SquaredError));
    /// let hessian = network.hessian(&examples, &objective)?;
    /// assert_eq!(hessian, DMatrix::from_row_slice(2, 2, &[1.0, 3.0, 3.0, 9.0]));
    /// assert_eq!(network.hessian_diagonal(&examples, &objective)?, hessian.diagonal());
    /// # Ok::<(), backprop::Error>(())
    /// ```
    pub fn hessian<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<DMatrix<T>, Error> {
        self.hessian_in(examples, objective, &mut Workspace::for_one_call())
    }

    /// Returns the [`hessian`](Self::hessian) in the mode of a workspace: of J in training with its
    /// seed, if it is set so, and through the statistics of the batch.
    ///
    /// # Errors
    /// Returns the errors of [`hessian`](Self::hessian).
    pub fn hessian_in<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<DMatrix<T>, Error> {
        let p = self.parameters();
        let entries = allocate("the Hessian", (p, p), T::zero())?;
        let mut hessian = DMatrix::from_vec(p, p, entries);
        self.unit_products((examples, objective), workspace, |i, product| {
            hessian.column_mut(i).copy_from_slice(product);
        })?;
        let half = real::<T>(0.5);
        for j in 0..p {
            for i in 0..j {
                // Halved first: the sum could overflow.
                let mean = hessian[(i, j)] * half + hessian[(j, i)] * half;
                (hessian[(i, j)], hessian[(j, i)]) = (mean, mean);
            }
        }
        Ok(hessian)
    }

    /// Returns the diagonal of the Hessian, of length P.
    ///
    /// The diagonal is exact. Like [`hessian`](Self::hessian), it takes P products, but it needs
    /// memory for only a few vectors. There is no `_into` variant.
    ///
    /// # Errors
    /// Returns the errors of [`hessian_product`](Self::hessian_product).
    pub fn hessian_diagonal<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
    ) -> Result<DVector<T>, Error> {
        self.hessian_diagonal_in(examples, objective, &mut Workspace::for_one_call())
    }

    /// Returns the [`hessian_diagonal`](Self::hessian_diagonal) in the mode of a workspace, as
    /// [`hessian_in`](Self::hessian_in) does.
    ///
    /// # Errors
    /// Returns the errors of [`hessian_product`](Self::hessian_product).
    pub fn hessian_diagonal_in<C: Cost<T>>(
        &self,
        examples: &Examples<'_, T>,
        objective: &Objective<C>,
        workspace: &mut Workspace<T>,
    ) -> Result<DVector<T>, Error> {
        let mut diagonal = zeros(self.parameters())?;
        self.unit_products((examples, objective), workspace, |i, product| {
            diagonal[i] = product[i];
        })?;
        Ok(diagonal)
    }

    /// Calls a function with H e and the index of e, for every unit vector e.
    fn unit_products<C: Cost<T>>(
        &self,
        (examples, objective): (&Examples<'_, T>, &Objective<C>),
        workspace: &mut Workspace<T>,
        mut visit: impl FnMut(usize, &[T]),
    ) -> Result<(), Error> {
        let p = self.parameters();
        let together = TOGETHER.min(p).max(1);
        let mut units = allocate("the unit vectors", (p, together), T::zero())?;
        let mut products = allocate("products with the Hessian", (p, together), T::zero())?;
        let mut first = 0;
        while first < p {
            let count = together.min(p - first);
            let (units, products) = (&mut units[..p * count], &mut products[..p * count]);
            units.fill(T::zero());
            for (i, unit) in units.chunks_exact_mut(p).enumerate() {
                unit[first + i] = T::one();
            }
            self.hessian_product_into(examples, objective, &*units, workspace, products)?;
            for (i, product) in products.chunks_exact(p).enumerate() {
                visit(first + i, product);
            }
            first += count;
        }
        Ok(())
    }
}
