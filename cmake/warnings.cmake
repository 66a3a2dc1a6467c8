# The warnings of the house: errors with both compilers, for the product and for the tests.
include(CheckCCompilerFlag)

set(MILLRACE_WARNINGS
    -Wall -Wextra -Wpedantic
    -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wformat=2 -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings
    -Wimplicit-fallthrough -Wunused-result)
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
    list(APPEND MILLRACE_WARNINGS -Wlogical-op -Wduplicated-cond)
endif()
if(MILLRACE_SANITIZE)
    # Instrumented code defeats the analyses of these; the other presets have them.
    list(APPEND MILLRACE_WARNINGS -Wno-null-dereference -Wno-conversion -Wno-sign-conversion)
    if(CMAKE_C_COMPILER_ID STREQUAL GNU)
        list(APPEND MILLRACE_WARNINGS -Wno-maybe-uninitialized)
    endif()
else()
    list(APPEND MILLRACE_WARNINGS -Wnull-dereference)
endif()
if(MILLRACE_WERROR)
    list(APPEND MILLRACE_WARNINGS -Werror)
endif()

# cmocka's callbacks have a fixed signature, its macros cast freely, and the flow analysis does not know its asserts.
set(MILLRACE_TEST_WARNINGS ${MILLRACE_WARNINGS}
    -Wno-unused-parameter -Wno-conversion -Wno-sign-conversion -Wno-null-dereference)
