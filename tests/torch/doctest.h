// doctest for tests that see LibTorch, whose logging headers define CHECK and its kin as macros
// that abort. Include it after every LibTorch header.
#pragma once

#include <c10/util/Logging.h>

#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LT
#undef CHECK_LE
#undef CHECK_GT
#undef CHECK_GE

#include <doctest/doctest.h>
