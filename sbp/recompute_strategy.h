// Recomputation as a strategy: the gradient is exact, time pays for memory.
#pragma once

#include "sbp/plan.h"

namespace sbp {

// `recompute`: in the chosen blocks each residual branch (part=branch: gradient checkpointing), or
// its MLP alone (mlp), keeps its input and runs again in backward; part=activation keeps all of an
// MLP but the non-linearity's output. With `sbp`, what runs again is what kept rows need (the
// re-forward of SBP, CVPR 2022, Alg. 1). Throws UsageError where the model has no such part.
Strategy recompute_strategy();

}  // namespace sbp
