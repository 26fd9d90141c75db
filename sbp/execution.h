// How a model runs under a plan. Layers call this narrow interface and never learn which strategy
// it carries out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sbp/activation.h"
#include "sbp/attention.h"
#include "sbp/batch_norm.h"
#include "sbp/convolution.h"
#include "sbp/mlp.h"
#include "sbp/plan.h"
#include "sbp/precision.h"
#include "sbp/random.h"
#include "sbp/recompute.h"
#include "sbp/row_ops.h"
#include "sbp/saved.h"
#include "sbp/step_observer.h"

namespace sbp {

// A weight and a bias, and where they are used.
struct Affine {
  SiteId site = -1;
  at::Tensor weight;
  at::Tensor bias;
};

// What a model says of its attention, for rows [batch, r, width].
struct AttentionBranch {
  // Norm and packed projection, a function of each row alone: [batch, r, 3, heads, head_dim].
  RowFunction project_in;
  SiteId projection = -1;   // of the output
  RowFunction project_out;  // [batch, r, heads * head_dim] -> [batch, r, width]
  double scale = 1.0;
  bool fused = false;
};

// Layer norm, fc1, GELU, fc2, and times `scale` where it is defined.
struct Mlp {
  Affine norm, fc1;
  SiteId act = -1;
  Affine fc2;
  at::Tensor scale = {};  // [width]
  LayerId scale_layer = kNoLayer;
  double epsilon = 1e-6;
};

struct ResidualOptions {
  double drop_path = 0.0;
  RowFunction shortcut = {};    // of the branch's input, added in its place
  bool shortcut_first = false;  // it runs before the branch, not after
  // Nobody needs the branch's result: its storage takes the sum, unless the step is observed, a
  // sample may be left out or types differ.
  bool in_place = false;
};

struct StepOptions {
  std::uint32_t step = 0;
  std::optional<std::uint32_t> mask_step = {};  // of masks and samples of codes; default: `step`
  bool training = true;
  at::Device device = at::kCPU;
  std::uint64_t seed = 0;       // keys what is drawn during the step: drop path, dropout, samples
  std::int64_t batch = 0;       // samples; for plans whose masks are drawn for each of them
  bool move_statistics = true;  // of batch norm: the running ones follow the batch's
  StepObserver* observer = nullptr;  // outlives the step's backward
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
            const ExecutionOptions& options = {});

  // Draws the step's masks onto the device. Without training everything is plain, unless the plan
  // masks in evaluation. A mask may keep no row at all: then none carries gradient. Keys repeat
  // what they draw, so that a repeated step repeats it. Throws Error where masks are drawn for each
  // sample and keep different counts, or the batch is not said.
  void begin_step(const StepOptions& options);
  // After the step's last backward, or forward where there is none: drops its 16-bit weight copies.
  void end_step();
  const Precision& precision() const { return precision_; }

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
  // What it saves stands in sbp/activation.h; where its derivative is binary a plan may have it
  // keep that alone. In place: a model says that nobody else needs x; its storage then takes the
  // result, unless the result is coded or the step observed.
  at::Tensor activation(SiteId site, Activation kind, const at::Tensor& x, bool in_place = false);

  // Attention with its projections: what carries gradient, and which keys a row sees, is the
  // plan's.
  at::Tensor attention(SiteId site, const at::Tensor& x, const AttentionBranch& branch);
  // body(x) for a body that treats every row of x [batch, rows, width] alike.
  at::Tensor positionwise(SiteId site, const at::Tensor& x, const RowFunction& body);
  // Such a body that may run as one node. `mlp` must outlive the graph.
  at::Tensor mlp(SiteId site, const at::Tensor& x, const Mlp& mlp);
  // x + branch(x), x [batch, ...]. In training the branch of a sample is left out with probability
  // `drop_path` and divided by 1 - drop_path otherwise; that saves one number a sample. What
  // `branch` captures must outlive the graph.
  at::Tensor residual(SiteId site, const at::Tensor& x, const RowFunction& branch,
                      const ResidualOptions& options = {});
  // x [batch, rows, width] without the rows that leave the sequence at this residual site: those
  // that no later one of the kept rows reads.
  at::Tensor depart(SiteId site, const at::Tensor& x);
  // In training, zero with probability `rate` and x / (1 - rate) otherwise. Saves one byte an
  // element; a rate of 0 saves and changes nothing. In place: the storage of x takes the result,
  // and a factor an element is saved, in the type of x.
  at::Tensor dropout(SiteId site, const at::Tensor& x, double rate, bool in_place = false);

 private:
  // The step's split at a site that drops rows in this step; else nullptr.
  const StepRows* split(SiteId site) const;
  // The same where it matters now: not without recording, if values are exact, nor where dropped
  // rows have departed.
  const StepRows* dropping(SiteId site) const;
  std::vector<KeptCells> draw_cells(std::size_t group) const;
  StepRows split_of(const MaskGroup& group, std::int64_t factor,
                    const std::vector<KeptCells>& cells) const;
  at::Tensor run_positionwise(SiteId site, const at::Tensor& x, const RowFunction& body);
  at::Tensor mlp_body(const Mlp& mlp, const at::Tensor& x);
  at::Tensor add_branch(SiteId site, const at::Tensor& shortcut, const at::Tensor& branch,
                        const ResidualOptions& options) const;
  // How a role is coded now; false where it is kept exact.
  Coding coding(SiteId site, SavedRole role);
  // layer(coding), whose errors then name the site.
  template <typename Layer>
  at::Tensor coded(SiteId site, const Coding& coding, Layer layer);
  RandomStream stream(SiteId site, Purpose purpose) const;
  std::uint32_t mask_step() const { return step_.mask_step.value_or(step_.step); }
  // x, or what the step's observer puts in its place.
  at::Tensor crossing(SiteId site, StepObserver::Side side, const at::Tensor& x) const;
  bool is_observed(const at::Tensor& output) const {
    return step_.observer != nullptr && output.requires_grad();
  }

  const SiteTable& sites_;
  const Plan& plan_;
  MaskSource& masks_;
  // Index = SiteId: those of its roles that are coded.
  std::vector<std::map<SavedRole, std::shared_ptr<const SavedCodec>>> codecs_;
  Precision precision_;
  WeightCopies weight_copies_;
  // Index = group, then the factors that its sites have; no rows: plain in this step.
  std::vector<std::map<std::int64_t, std::optional<StepRows>>> group_rows_;
  std::vector<std::int64_t> kept_rows_;  // index = group
  StepOptions step_ = {.training = false};
  SharedCodes shared_codes_;
  std::set<SiteId> statistics_moved_;  // batch norms whose running statistics this step moved
};

}  // namespace sbp
