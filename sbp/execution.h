// How a model runs under a plan. Layers call this narrow interface and never learn which strategy
// it carries out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "sbp/attention.h"
#include "sbp/plan.h"
#include "sbp/precision.h"
#include "sbp/recompute.h"
#include "sbp/row_ops.h"
#include "sbp/saved.h"

namespace sbp {

// y = w * x + b over [batch, channels, height, width]; `bias` may be undefined.
struct Convolution {
  at::Tensor weight;  // [out, in / groups, height, width]
  at::Tensor bias;    // [out]
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t groups = 1;
};

struct ExecutionOptions {
  CodecTable codecs = {};
  Precision precision = {};
};

// One plan over many steps. Each call opens the site's layer scope. Not thread-safe.
class Execution {
 public:
  // `sites`, `plan` and `masks` must outlive it. Throws Error if the plan names a codec that
  // `options.codecs` lacks.
  Execution(const SiteTable& sites, const Plan& plan, MaskSource& masks,
            ExecutionOptions options = {});

  // Draws the step's masks onto `device`. With `training` false everything is plain, unless the
  // plan masks in evaluation. Throws Error when a mask keeps no row at all.
  void begin_step(std::uint32_t step, bool training, at::Device device);
  // After the step's last backward, or forward where there is none: drops its 16-bit weight copies.
  void end_step() { weight_copies_.drop(); }

  // The 16-bit copy of `weight` that this step has made; undefined where it made none.
  at::Tensor weight_copy(const at::Tensor& weight) const { return weight_copies_.kept(weight); }

  // Rows that each of the plan's groups keeps in this step: all of them in a plain one.
  std::vector<std::int64_t> kept_rows() const;

  // x [..., in] -> [..., out].
  at::Tensor linear(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                    const at::Tensor& bias);
  // x [batch, channels, height, width].
  at::Tensor conv2d(SiteId site, const at::Tensor& x, const Convolution& convolution);
  // Over the last dimension.
  at::Tensor layer_norm(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                        const at::Tensor& bias, double epsilon);
  at::Tensor gelu(SiteId site, const at::Tensor& x);

  // Attention followed by its output projection: project([batch, r, width]) is called once with
  // all rows, or once with kept and once (not recording) with dropped ones, as the plan has it.
  at::Tensor attention(SiteId site, const AttentionInputs& inputs, SiteId projection,
                       const RowFunction& project);
  // body(x) for a body that treats every row of x [batch, rows, width] alike.
  at::Tensor positionwise(SiteId site, const at::Tensor& x, const RowFunction& body);
  // x + branch(x).
  at::Tensor residual(SiteId site, const at::Tensor& x, const RowFunction& branch);

 private:
  // The step's rows at a site that drops some of them now; nullptr where all carry gradient.
  const StepRows* dropping(SiteId site) const;
  std::shared_ptr<const SavedCodec> codec(SiteId site, SavedRole role) const;

  const SiteTable& sites_;
  const Plan& plan_;
  MaskSource& masks_;
  CodecTable codecs_;
  Precision precision_;
  WeightCopies weight_copies_;
  std::vector<std::optional<StepRows>> group_rows_;  // index = group; absent: plain in this step
};

}  // namespace sbp
