"""A CUDA program that needs no compiler and no toolkit: the driver API through Python's ctypes (source: CUDA Driver API reference).

It prints "0", or the first result that is not 0 and the call that gave it. PTX of an old version and target is compiled by every driver for its GPU
(source: PTX ISA, `.target`: code for one target runs on later ones).
"""

from __future__ import annotations

VALUE = 4711
CUDA_PROGRAM = f'''
import sys
try:
    import ctypes
    cuda = ctypes.CDLL("libcuda.so.1")
except ImportError:
    print("no answer: the Python of the host has no ctypes; install python3"); sys.exit()
except OSError as error:
    print("libcuda.so.1 cannot be loaded:", error); sys.exit()
from ctypes import byref, c_int, c_size_t, c_uint, c_uint64, c_void_p, cast
PTX = b""".version 4.0
.target sm_30
.address_size 64
.visible .entry mark(.param .u64 out)
{{
    .reg .u64 %rd<3>;
    .reg .u32 %r<2>;
    ld.param.u64 %rd1, [out];
    cvta.to.global.u64 %rd2, %rd1;
    mov.u32 %r1, {VALUE};
    st.global.u32 [%rd2], %r1;
    ret;
}}
"""
def call(name, *arguments):
    result = getattr(cuda, name)(*arguments)
    if result:
        print(result, name); sys.exit()
count, context, memory, module, kernel, seen = c_int(), c_void_p(), c_uint64(), c_void_p(), c_void_p(), c_uint()
call("cuInit", 0)
call("cuDeviceGetCount", byref(count))
if not count.value:
    print("100 cuDeviceGetCount"); sys.exit()
for index in range(count.value):
    call("cuCtxCreate_v2", byref(context), 0, index)
    call("cuMemAlloc_v2", byref(memory), c_size_t(1 << 20))
    call("cuModuleLoadData", byref(module), PTX)
    call("cuModuleGetFunction", byref(kernel), module, b"mark")
    words = (c_void_p * 1)(cast(byref(memory), c_void_p))
    call("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, None, words, None)
    call("cuCtxSynchronize")
    call("cuMemcpyDtoH_v2", byref(seen), memory, c_size_t(4))
    if seen.value != {VALUE}:
        print("a kernel on GPU", index, "wrote", seen.value, "and not {VALUE}"); sys.exit()
    call("cuMemFree_v2", memory)
    call("cuCtxDestroy_v2", context)
print(0)
'''.strip()
