"""Vectors of a fixed number of lanes for numba: arithmetic on many rows, or many quadrature nodes, at once.

numba's own loops leave it to LLVM to prove that small inner loops may be vectorised; here the vector is a type of its own, which LLVM
lowers to whatever the machine has (AVX-512, AVX2, NEON, SSE).
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import register_model

ROWS = 32
"""Lanes of the batch kernels: rows."""
NODES = 4
"""Lanes of the single-row kernel: quadrature nodes."""

_SCALARS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: ir.IntType(32),
    types.boolean: ir.IntType(1),
}
Code = tuple[Any, Callable[..., Any]]
intrinsic: Any = extending.intrinsic  # its own types know nothing of the first argument, which numba itself gives


class Lanes(types.Type):
    """`n` numbers, or truth values, of one scalar type."""

    def __init__(self, scalar: Any, n: int) -> None:
        self.scalar, self.n = scalar, n
        super().__init__(name=f"Lanes({scalar}, {n})")


@register_model(Lanes)
class _LanesModel(PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, ir.VectorType(_SCALARS[lanes.scalar], lanes.n))


def _address(context: Any, builder: Any, kind: Any, place: Any, pointee: Any) -> Any:
    """Of `place`, an array and an index into it."""
    data = context.make_array(kind)(context, builder, place[0]).data
    return builder.bitcast(builder.gep(data, [place[1]]), pointee.as_pointer())


def _loader(n: int) -> Any:
    @intrinsic
    def load(typing: Any, array: Any, index: Any) -> Code:
        lanes = Lanes(array.dtype, n)

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            pointer = _address(context, builder, signature.args[0], given, context.get_value_type(lanes))
            value = builder.load(pointer)
            value.align = array.dtype.bitwidth // 8
            return value

        return lanes(array, types.intp), code

    return load


load_rows = _loader(ROWS)
load_nodes = _loader(NODES)


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Code:
    """Write the lanes to array[index:index + n]."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], given[:2], context.get_value_type(value))
        builder.store(given[2], pointer).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), code


def _spread(builder: Any, vector: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


@intrinsic
def splat(typing: Any, scalar: Any) -> Code:
    """The same number for all rows."""
    lanes = Lanes(scalar, ROWS)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _spread(builder, context.get_value_type(lanes), given[0])

    return lanes(scalar), code


@intrinsic
def zero(typing: Any, like: Any) -> Code:
    """Zero in every lane, of the type of `like`."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return ir.Constant(context.get_value_type(like), None)

    return like(like), code


def _operation(name: str) -> Any:
    @intrinsic
    def apply(typing: Any, a: Any, b: Any) -> Code:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return getattr(builder, name)(*given)

        return a(a, a), code

    return apply


multiply, add, subtract = (_operation(name) for name in ("fmul", "fadd", "fsub"))
add_whole, both, either = (_operation(name) for name in ("add", "and_", "or_"))


@intrinsic
def multiply_add(typing: Any, a: Any, b: Any, c: Any) -> Code:
    """A * b + c, rounded once where the machine can."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(given[0].type, [given[0].type] * 3)
        name = f"llvm.fmuladd.v{a.n}f{a.scalar.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)

    return a(a, a, a), code


@intrinsic
def is_left(typing: Any, codes: Any, ranks: Any, right: Any) -> Code:
    """Whether codes <= ranks; with `right` (a truth value for all lanes), whether not."""
    answer = Lanes(types.boolean, codes.n)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        left = builder.fcmp_ordered("<=", *given[:2])
        return builder.xor(left, _spread(builder, left.type, given[2]))

    return answer(codes, codes, types.boolean), code


@intrinsic
def select(typing: Any, condition: Any, yes: Any, no: Any) -> Code:
    """Lane by lane `yes` where the condition holds, else `no`."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.select(*given)

    return yes(condition, yes, yes), code


@intrinsic
def pack(typing: Any, condition: Any) -> Code:
    """Truth values of 32 rows as the bits of one number."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], ir.IntType(ROWS))

    return types.uint32(condition), code


@intrinsic
def unpack(typing: Any, bits: Any) -> Code:
    """What `pack` made one number of."""
    lanes = Lanes(types.boolean, ROWS)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], context.get_value_type(lanes))

    return lanes(types.uint32), code
