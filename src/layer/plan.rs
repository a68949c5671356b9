//! What a layer states about itself: its shapes, its parameters and the memory of its passes.

mod frozen;
mod ids;
mod modes;
mod modules;

use super::block::{Block, BlockStart};
use super::child::Child;
use super::memory::{ByKeep, KEEPS, Keep, Len, Place, Start, sum};
use super::products::Affine;
use super::site::{Couples, Head, Site};
use super::state_block::StateBlock;
use crate::activation::AnyActivation;
use crate::error::Error;
use crate::link::Link;
use crate::path::Path;
use crate::scalar::Scalar;
use crate::shape::Shape;
use ids::Reads;
pub(crate) use modules::Modules;

/// Scratch that passes may write, by the kind of pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rooms {
    plain: Len,
    tangent: Len,
    each: Len,
}

/// Everything that a network needs to know of a layer at one [`Site`].
///
/// A layer makes its plan once, when a network is built, and gets it back in every pass.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Plan {
    input: Shape,
    output: Shape,
    /// The number of entries of the input and of the output.
    inputs: usize,
    outputs: usize,
    tail: bool,
    /// The layer's own parameters. Those of its children follow.
    pub(crate) blocks: Vec<Block>,
    kept: ByKeep,
    rooms: Rooms,
    products: Vec<Affine>,
    pub(crate) heads: Vec<Head>,
    /// Which examples the layer itself couples.
    pub(crate) own_couples: Couples,
    /// Which examples the layers of this tree couple.
    pub(crate) couples: Couples,
    own_each: bool,
    pub(crate) children: Vec<Child>,
    parameters: usize,
    /// The layer's own state. That of its children follows.
    pub(crate) state_blocks: Vec<StateBlock>,
    state: usize,
    /// Whether the layer's own statistics are fixed.
    fixed: bool,
    /// The random numbers that the layer itself draws for each example in training.
    numbers: usize,
    /// Whether a layer of this tree draws random numbers.
    stochastic: bool,
    /// The number of plans in this tree.
    nodes: usize,
    /// The number of entries for each example of a buffer between two children.
    widest: usize,
    /// Whether the layer's own parameters keep their values.
    frozen: bool,
    /// Whether a parameter of this tree moves.
    moves: bool,
    /// The first child with a parameter that moves, or the number of children.
    first_that_moves: usize,
    /// Which entries of the input are ids.
    reads: Reads,
    /// How other programs name the layer.
    pub(crate) modules: Modules,
}

impl Plan {
    /// Creates the plan of a layer without parameters that keeps nothing.
    pub fn new(site: Site, output: impl Into<Shape>) -> Self {
        let output = output.into();
        Self {
            input: site.input,
            output,
            inputs: site.input.len(),
            outputs: output.len(),
            tail: site.tail,
            blocks: Vec::new(),
            kept: ByKeep::default(),
            rooms: Rooms::default(),
            products: Vec::new(),
            heads: vec![Head::new(output)],
            own_couples: Couples::Never,
            couples: Couples::Never,
            own_each: false,
            children: Vec::new(),
            parameters: 0,
            state_blocks: Vec::new(),
            state: 0,
            fixed: false,
            numbers: 0,
            stochastic: false,
            nodes: 1,
            widest: 0,
            frozen: false,
            moves: false,
            first_that_moves: 0,
            reads: Reads::NUMBERS,
            modules: Modules::default(),
        }
    }

    /// Returns the head, if there is only one.
    #[inline]
    pub(crate) fn single_head(&self) -> Option<&Head> {
        match self.heads.as_slice() {
            [head] => Some(head),
            _ => None,
        }
    }

    /// For containers: all outputs are one head without z.
    pub(crate) fn set_one_head(&mut self) {
        self.heads = vec![Head::new(self.output)];
    }

    /// For containers: sets the shape of the output.
    pub(crate) fn set_output(&mut self, output: Shape) {
        (self.output, self.outputs) = (output, output.len());
    }

    /// Adds a block of parameters. A layer's blocks lie in θ in this order.
    pub fn block(mut self, block: Block) -> Self {
        let len = block.len().unwrap_or(usize::MAX);
        self.parameters = self.parameters.saturating_add(len);
        self.blocks.push(block);
        self.moves = true;
        self
    }

    /// Sets the length of `kept`, whatever is kept.
    pub fn keeps(mut self, len: Len) -> Self {
        self.kept = [len; 4];
        self
    }

    /// Sets the length of `kept` for each [`Keep`].
    pub(crate) fn keeps_by(mut self, len: impl Fn(Keep) -> Len) -> Self {
        self.kept = KEEPS.map(len);
        self
    }

    /// Sets the length of `room`, the scratch of every pass.
    pub fn room(mut self, len: Len) -> Self {
        self.rooms = Rooms {
            plain: len,
            tangent: len,
            each: len,
        };
        self
    }

    /// Sets the length of `room` in passes along a direction.
    pub(crate) fn tangent_room_of(mut self, len: Len) -> Self {
        self.rooms.tangent = len;
        self
    }

    /// Requests scratch for the products of a layer: [`Affine`] computes them.
    pub fn product(mut self, product: Affine) -> Self {
        self.products.push(product);
        self
    }

    /// Declares where z lies, with the link that the output inverts, if any.
    ///
    /// The output must be a function of z, and depend on θ and the input only through z.
    /// `backward` then leaves ∂cost/∂z in `delta`, or takes it from there if
    /// [`linked`](super::Backward::linked) is set; `backward_tangent` does the same with the
    /// derivatives. Products with the curvature at z need this, and so do z and δ in a
    /// trace.
    pub fn z(mut self, place: Place, link: Option<Link>) -> Self {
        for head in &mut self.heads {
            (head.z, head.link) = (Some(place), link);
        }
        self
    }

    /// Names the built-in activation that computes the output from z.
    pub(crate) fn activation(mut self, activation: Option<AnyActivation>) -> Self {
        for head in &mut self.heads {
            head.activation = activation;
        }
        self
    }

    /// Declares that the outputs for one example depend on the others.
    pub fn couples(mut self, couples: Couples) -> Self {
        // State is that of the whole batch.
        let couples = if self.state_blocks.is_empty() {
            couples
        } else {
            couples.max(Couples::InTraining)
        };
        (self.own_couples, self.couples) = (couples, couples);
        self
    }

    /// Declares that the layer has a [`backward_each`](super::Layer::backward_each) of its own.
    pub fn own_each(mut self) -> Self {
        self.own_each = true;
        self
    }

    /// Declares the opposite: for a layer that wraps another and keeps the default method.
    pub fn default_each(mut self) -> Self {
        self.own_each = false;
        self
    }

    /// Returns the shape of the input.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Returns the shape of the output.
    #[must_use]
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Returns the number of entries of the input, the rows of the matrix.
    #[inline]
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the number of entries of the output, the rows of the matrix.
    #[inline]
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns whether a cost reads the output.
    #[inline]
    #[must_use]
    pub fn is_tail(&self) -> bool {
        self.tail
    }

    /// Returns the number of parameters, those of inner layers included.
    #[inline]
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Returns the length of `kept` for a batch of m examples.
    #[inline]
    #[must_use]
    pub fn kept(&self, keep: Keep, m: usize) -> usize {
        self.kept[keep as usize].at(m)
    }

    /// Returns the length of `kept` in a pass.
    #[inline]
    pub(crate) fn kept_in(&self, keep: Keep, m: usize) -> usize {
        self.kept[keep as usize].of(m)
    }

    /// Returns the length of `room` that suffices for every pass over m examples.
    #[must_use]
    pub fn room_len(&self, m: usize) -> usize {
        let Rooms { plain, tangent, .. } = self.rooms;
        plain.max(tangent).max(self.each_room()).at(m)
    }

    /// Returns the room of a plain pass.
    #[inline]
    pub(crate) fn plain_room(&self, m: usize) -> usize {
        self.rooms.plain.at(m)
    }

    /// Returns the room of a pass along a direction.
    #[inline]
    pub(crate) fn tangent_room(&self, m: usize) -> usize {
        self.rooms.tangent.at(m)
    }

    /// Returns the room of [`Layer::backward_each`](super::Layer::backward_each), whose default
    /// computes each example anew.
    fn each_room(&self) -> Len {
        if self.own_each {
            return self.rooms.each;
        }
        self.rooms.each.max(Len::fixed(self.room_of_one()))
    }

    /// Returns the room in which an example is computed again by itself.
    pub(crate) fn room_of_one(&self) -> usize {
        let kept = self.kept.iter().map(|len| len.at(1)).fold(0, usize::max);
        let lens = [self.outputs, self.parameters, self.rooms.plain.at(1)];
        lens.into_iter().fold(kept, usize::saturating_add)
    }

    /// Returns the room of a pass that computes gradients of single examples.
    #[inline]
    pub(crate) fn room_of_each(&self, m: usize) -> usize {
        self.each_room().at(m)
    }

    /// For containers: takes the next child. Its output is kept, unless it is that of the parent.
    pub(crate) fn adopt(&mut self, name: String, plan: Plan, input: Place, keeps_output: bool) {
        let kept = Start(self.kept);
        self.kept = sum(self.kept, plan.kept);
        let output = if keeps_output {
            let at = self.kept;
            self.kept = sum(self.kept, [Len::each(plan.outputs); 4]);
            Place::Kept(Start(at))
        } else {
            Place::Output
        };
        let theta = self.parameters;
        self.parameters = theta.saturating_add(plan.parameters);
        let state = self.state;
        self.state = state.saturating_add(plan.state);
        self.couples = self.couples.max(plan.couples);
        self.stochastic |= plan.stochastic;
        self.rooms = Rooms {
            plain: self.rooms.plain.max(plan.rooms.plain),
            tangent: self.rooms.tangent.max(plan.rooms.tangent),
            each: self.rooms.each.max(plan.each_room()),
        };
        let node = self.nodes;
        self.nodes += plan.nodes;
        self.moves |= plan.moves;
        if !self.moves {
            self.first_that_moves = self.children.len() + 1;
        }
        self.children.push(Child {
            name,
            theta: theta..self.parameters,
            state: state..self.state,
            plan,
            kept,
            input,
            output,
            node,
        });
    }

    /// Checks what a layer states about itself at a site.
    pub(crate) fn check(&self, site: Site) -> Result<(), Error> {
        let fault = |what| Error::Plan {
            layer: Path::default(),
            what,
        };
        if self.input != site.input {
            return Err(fault("it is of another input shape than it was asked for"));
        }
        for head in &self.heads {
            match head.z {
                Some(Place::Input) if self.inputs != head.rows => {
                    return Err(fault("z is the input, which has another number of entries"));
                }
                Some(Place::Kept(at)) if self.tail => {
                    let end = |keep: Keep| (at.0[keep as usize] + Len::each(head.rows)).at(1);
                    if KEEPS.iter().any(|&keep| end(keep) > self.kept(keep, 1)) {
                        return Err(fault("z ends after what the layer keeps"));
                    }
                }
                _ => {}
            }
        }
        if self.output.is_empty() {
            return Err(Error::ZeroUnits {
                layer: Path::default(),
            });
        }
        for block in &self.state_blocks {
            if !(block.start.is_finite() && block.start >= block.least) {
                return Err(fault("its state starts outside its range"));
            }
        }
        for block in &self.blocks {
            if let BlockStart::Constant(start) | BlockStart::Normal(start) = block.start
                && !start.is_finite()
            {
                return Err(fault("a block starts at a number that is not finite"));
            }
            if block.penalised_from_column > block.cols {
                return Err(Error::PenalisedColumns {
                    layer: Path::default(),
                    block: block.name.clone().into_owned(),
                    cols: block.cols,
                    from: block.penalised_from_column,
                });
            }
        }
        Ok(())
    }

    /// For containers, after the last child: room for two buffers between children, in addition to
    /// the room that the children share.
    pub(crate) fn with_buffers(mut self, widest: usize) -> Self {
        self.widest = widest;
        let own = Len::each(widest.saturating_mul(2));
        self.rooms = Rooms {
            plain: self.rooms.plain + own,
            tangent: self.rooms.tangent + own + own,
            each: self.rooms.each + own,
        };
        self
    }

    /// Appends the length of the scratch for products of every plan of this tree, from the top.
    pub(crate) fn scratch<T: Scalar>(&self, m: usize, lens: &mut Vec<usize>) {
        lens.push(self.most_scratch::<T>(m));
        for child in &self.children {
            child.plan.scratch::<T>(m, lens);
        }
    }

    /// Returns the length of the longest scratch for products in this tree.
    pub(crate) fn most_scratch<T: Scalar>(&self, m: usize) -> usize {
        let own = self.products.iter().map(|product| product.scratch::<T>(m));
        let inner = self.children.iter();
        let inner = inner.map(|child| child.plan.most_scratch::<T>(m));
        own.chain(inner).fold(0, usize::max)
    }

    /// Returns the number of plans in this tree, each with a length in [`scratch`](Self::scratch).
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Returns the entries for each example of a buffer between two children.
    #[inline]
    pub(crate) fn widest(&self) -> usize {
        self.widest
    }

    /// Returns the number of units of all layers in this tree, containers apart, and of the widest.
    pub(crate) fn units(&self) -> (usize, usize) {
        if self.children.is_empty() {
            return (self.outputs, self.outputs);
        }
        let children = self.children.iter().map(|child| child.plan.units());
        children.fold((0, 0), |(sum, widest), (units, most)| {
            (sum.saturating_add(units), widest.max(most))
        })
    }

    /// Returns the heads of a child as its parent sees them.
    pub(crate) fn heads_of(child: &Child) -> impl Iterator<Item = Head> {
        let heads = child.plan.heads.iter();
        heads.map(|head| Head {
            a: head.a.outside(child),
            z: head.z.map(|z| z.outside(child)),
            ..*head
        })
    }
}
