"""The operators that are run: a list of what tables and small networks need, and nothing that loops, branches or draws numbers."""

_ONE_BY_ONE = (
    "Abs Acos Add And Atan Cast Ceil Celu Clip Cos Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid "
    "HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal "
    "Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor"
)
_WHOLE_ROWS = (
    "ArgMax ArgMin BatchNormalization Concat Constant CumSum Dropout Flatten Gather GatherElements Gemm LayerNormalization "
    "LogSoftmax MatMul ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "ReduceSumSquare Reshape Shape Size Slice Softmax Split Squeeze Transpose Unsqueeze"
)
# These make an array of a size that they are given.
SIZED = ("ConstantOfShape", "Expand", "Tile")
_LEARNT = (
    "ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer "
    "OneHotEncoder Scaler SVMClassifier SVMRegressor TreeEnsembleClassifier TreeEnsembleRegressor ZipMap"
)
OPERATORS = {"": {*_ONE_BY_ONE.split(), *_WHOLE_ROWS.split(), *SIZED}, "ai.onnx.ml": set(_LEARNT.split())}
