//! All public types are `Send` and `Sync`, except a trainer, which holds the caller's callbacks.

use super::Mixed;
use backprop::activation::{Activation, FromFn};
use backprop::cost::{Cost, Link, Outputs, Violation};
use backprop::data::{
    Fractions, KFold, LabelEncoder, MinMaxScaler, Split, Standardizer, ThreeWaySplit,
};
use backprop::gradient_check::{BlockReport, Comparison, Place, Report, Verdict};
use backprop::layer::{
    self, Affine, At, Backward, BackwardTangent, Block, Couples, Forward, ForwardTangent, Keep,
    Layer, LayerGradient, Len, Linked, NoCustom, Plan, Sequential, Site, Start,
};
use backprop::metrics::{
    Accuracy, Average, ConfusionMatrix, Direction, F1, MeanAbsoluteError, MeanSquaredError, Metric,
    Precision, R2, Recall, TopK,
};
use backprop::saving::{Checkpoints, Found, LoadError, Refusal, SaveError, Skipped};
use backprop::training::{
    AdaGrad, Adadelta, Adam, AdamW, Clipping, ConjugateGradient, Epoch, FullBatch, GradientDescent,
    History, IRpropMinus, Iteration, Lbfgs, LeastSquares, LevenbergMarquardt, Method, Optimizer,
    OptimizerState, Plateau, Reached, Record, Resumed, RmsProp, Schedule, Stop,
};
use backprop::{
    Accumulator, AnyActivation, AnyCost, AnyLayer, ArgminHessian, ArgminProblem, Backprop,
    BlockLayout, Builder, CostParts, Curvature, Dense, Error, Examples, GaussNewton, Gradient,
    GradientCheck, Initialization, Layout, Network, Objective, Penalty, Shape, Strength, Tangent,
    Trace, VjpTargets, Workspace,
};
use num_dual::Dual64;

fn shared<X: Send + Sync>() {}

fn error<X: std::error::Error + Send + Sync + 'static>() {}

type Boxed = Box<dyn Layer<f64>>;

#[test]
fn networks_and_what_they_compute() {
    shared::<(Network<f64>, Network<f32, Box<dyn Layer<f32>>>)>();
    shared::<Mixed<Dual64>>();
    shared::<(Builder<f64>, Builder<f64, Boxed>)>();
    shared::<(AnyLayer, Dense, Dense<FromFn<fn(f64) -> f64>>, NoCustom)>();
    shared::<(AnyActivation, Box<dyn Activation<f64>>)>();
    shared::<(AnyCost, Box<dyn Cost<f64>>, Link, Violation)>();
    shared::<(Outputs<'_, f64>, Forward<'_, f64>, Backward<'_, f64>)>();
    shared::<(ForwardTangent<'_, f64>, BackwardTangent<'_, f64>)>();
    shared::<(At<'_, f64>, LayerGradient<'_, f64>, Linked<'_>)>();
    shared::<(Plan, Site, Shape, Len, Keep, layer::Place, Start)>();
    shared::<(Affine, Couples, Sequential<AnyLayer>, Sequential<Boxed>)>();
    shared::<(Layout, BlockLayout, Block, Initialization)>();
    shared::<(Objective<Box<dyn Cost<f64>>>, Penalty, Strength)>();
    shared::<(Examples<'_, f64>, Workspace<f64>, Accumulator<f64>)>();
    shared::<(Backprop<f64>, Gradient<f64>, CostParts<f64>, Trace<f64>)>();
    shared::<(Tangent<'_, f64>, VjpTargets<'_, f64>)>();
    shared::<(GaussNewton, Curvature)>();
}

#[test]
fn checkers_data_and_metrics_are_send_and_sync() {
    shared::<(GradientCheck, Report, BlockReport)>();
    shared::<(Comparison, Place, Verdict)>();
    shared::<(Standardizer<f64>, MinMaxScaler<f64>)>();
    shared::<(LabelEncoder<String>, Split, KFold)>();
    shared::<(ThreeWaySplit, Fractions)>();
    shared::<(ConfusionMatrix, Average, Direction, Box<dyn Metric<f64>>)>();
    shared::<(Accuracy, TopK, Precision, Recall, F1)>();
    shared::<(R2, MeanAbsoluteError, MeanSquaredError)>();
    shared::<(Checkpoints, Found<String>, Skipped)>();
    error::<Error>();
    error::<SaveError>();
    error::<LoadError>();
    error::<Refusal>();
}

#[test]
fn optimisers_and_trainers_are_send_and_sync() {
    shared::<(GradientDescent<f64>, RmsProp<f64>, Adadelta<f64>)>();
    shared::<(Adam<f64>, AdamW<f64>, AdaGrad<f64>, IRpropMinus<f64>)>();
    shared::<(Box<dyn Optimizer<f64>>, OptimizerState<f64>)>();
    shared::<(Lbfgs, ConjugateGradient)>();
    shared::<(Method<f64>, Box<dyn FullBatch<f64>>, Iteration<f64>)>();
    shared::<Reached<'_, f64>>();
    shared::<(LevenbergMarquardt, LeastSquares<f64>)>();
    shared::<(Clipping, Schedule, Plateau, History, Record, Stop)>();
    shared::<(Epoch<'_, f64>, Resumed)>();
}

#[test]
fn problems_for_argmin() {
    shared::<ArgminProblem<'_, f64, AnyLayer, AnyCost>>();
    shared::<ArgminProblem<'_, f64, Boxed, Box<dyn Cost<f64>>>>();
    shared::<ArgminHessian<'_, f64, AnyLayer, AnyCost>>();
    shared::<ArgminHessian<'_, f64, Boxed, Box<dyn Cost<f64>>>>();
}
