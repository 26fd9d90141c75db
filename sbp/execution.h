// How a model runs under a plan. Layers call this narrow interface and never learn which strategy
// it carries out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sbp/attention.h"
#include "sbp/batch_norm.h"
#include "sbp/convolution.h"
#include "sbp/plan.h"
#include "sbp/precision.h"
#include "sbp/random.h"
#include "sbp/recompute.h"
#include "sbp/row_ops.h"
#include "sbp/saved.h"

namespace sbp {

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
  // plan masks in evaluation. A mask may keep no row at all: then none carries gradient. `seed`
  // keys what is drawn during the step (drop path, dropout), so that a repeated step repeats it.
  void begin_step(std::uint32_t step, bool training, at::Device device, std::uint64_t seed = 0);
  // After the step's last backward, or forward where there is none: drops its 16-bit weight copies.
  void end_step();

  // The 16-bit copy of `weight` that this step has made; undefined where it made none.
  at::Tensor weight_copy(const at::Tensor& weight) const { return weight_copies_.kept(weight); }

  // Rows of its grid that each of the plan's groups keeps in this step: all of them in a plain one.
  std::vector<std::int64_t> kept_rows() const;

  // Sentences about codes that have kept nothing of a tensor so far, though their plan allows it.
  std::vector<std::string> warnings() const;

  // x [..., in] -> [..., out].
  at::Tensor linear(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                    const at::Tensor& bias);
  // x [batch, channels, height, width].
  at::Tensor conv2d(SiteId site, const at::Tensor& x, const Convolution& convolution);
  // Over the last dimension.
  at::Tensor layer_norm(SiteId site, const at::Tensor& x, const at::Tensor& weight,
                        const at::Tensor& bias, double epsilon);
  // x [batch, channels, height, width]. In training, statistics are those of the full batch and
  // the running ones move at the site's first call of a step only: a body that is run again, for
  // dropped rows or in backward, leaves them alone. Evaluation uses the running ones. Throws Error
  // for less than the pixels that the site published, or one value a channel (no variance).
  at::Tensor batch_norm(SiteId site, const at::Tensor& x, const BatchNorm& norm);
  at::Tensor gelu(SiteId site, const at::Tensor& x);
  // Saves its result, which the layer that follows takes as its input (one storage), or its signs.
  at::Tensor relu(SiteId site, const at::Tensor& x);

  // Attention followed by its output projection: project([batch, r, width]) is called once with
  // all rows, or once with kept and once (not recording) with dropped ones, as the plan has it.
  at::Tensor attention(SiteId site, const AttentionInputs& inputs, SiteId projection,
                       const RowFunction& project);
  // body(x) for a body that treats every row of x [batch, rows, width] alike.
  at::Tensor positionwise(SiteId site, const at::Tensor& x, const RowFunction& body);
  // x + branch(x), x [batch, ...]. In training the branch of a sample is left out with probability
  // `drop_path` and divided by 1 - drop_path otherwise; that saves one number a sample.
  at::Tensor residual(SiteId site, const at::Tensor& x, const RowFunction& branch,
                      double drop_path = 0.0);
  // In training, zero with probability `rate` and x / (1 - rate) otherwise. Saves one byte an
  // element; a rate of 0 saves and changes nothing.
  at::Tensor dropout(SiteId site, const at::Tensor& x, double rate);

 private:
  // The step's rows at a site that drops some of them now; nullptr where all carry gradient.
  const StepRows* dropping(SiteId site) const;
  // How a role is coded now; false where it is kept exact.
  Coding coding(SiteId site, SavedRole role);
  // layer(coding), whose errors then name the site.
  template <typename Layer>
  at::Tensor coded(SiteId site, const Coding& coding, Layer layer);
  RandomStream stream(SiteId site, Purpose purpose) const;

  const SiteTable& sites_;
  const Plan& plan_;
  MaskSource& masks_;
  CodecTable codecs_;
  Precision precision_;
  WeightCopies weight_copies_;
  // Index = group, then the factors that its sites have; no rows: plain in this step.
  std::vector<std::map<std::int64_t, std::optional<StepRows>>> group_rows_;
  std::vector<std::int64_t> kept_rows_;  // index = group
  bool training_ = false;
  std::uint32_t step_ = 0;
  std::uint64_t seed_ = 0;
  SharedCodes shared_codes_;
  std::set<SiteId> statistics_moved_;  // batch norms whose running statistics this step moved
};

}  // namespace sbp
