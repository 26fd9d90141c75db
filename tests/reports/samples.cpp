#include "tests/reports/samples.h"

namespace sbp::tests {
namespace {

using profiler::Category;

reports::Header header() {
  reports::Header header;
  header.command_line = {"sbp-profile", "--model", "vit:dim=32"};
  header.configuration = {{"model", std::string("vit:dim=32")},
                          {"data", std::string("synthetic:samples=64")},
                          {"batch", std::int64_t{4}},
                          {"label_smoothing", 0.1},
                          {"flip", true},
                          {"device", std::string("cpu")},
                          {"precision", std::string("fp32")},
                          {"optimizer", std::string("adamw:lr=0.001")},
                          {"seed", std::int64_t{7}}};
  header.environment = {.sbp_version = "0.1.0",
                        .git_commit = "0123456789ab",
                        .libtorch_version = "2.14.1",
                        .compiler = "GNU 12.2.0",
                        .processor = "a processor",
                        .operating_system = "Linux 6",
                        .host = "somewhere",
                        .processor_count = 2,
                        .threads = 1,
                        .memory_bytes = 8589934592,
                        .started_at = "2026-01-02T03:04:05Z"};
  header.warnings = {"only one timed step"};
  return header;
}

std::vector<reports::PlanEntry> plan() {
  reports::PlanEntry head;
  head.site = "head";
  head.kind = "linear";
  head.select = "all";
  head.rows = 1;
  head.kept_rows = 1;
  return {{.site = "blocks.0.attn",
           .kind = "attention",
           .claimed_by = "sbp:keep=0.5",
           .select = "query rows, grid mask",
           .keep_ratio = 0.5,
           .effective_keep_ratio = 0.52,
           .rows = 17,
           .kept_rows = 9,
           .mask_group = "all",
           .materialise = "store",
           .code = ""},
          head};
}

profiler::CategoryBytes categories(std::int64_t parameters, std::int64_t activations) {
  profiler::CategoryBytes bytes{};
  bytes[static_cast<std::size_t>(Category::parameter)] = parameters;
  bytes[static_cast<std::size_t>(Category::activation)] = activations;
  return bytes;
}

profiler::LedgerCheck ledger() {
  profiler::LedgerCheck check;
  check.allocate_events = 1204;
  check.free_events = 1100;
  check.recounts = 1;
  check.balanced = true;
  return check;
}

profiler::SavedBytes saved() {
  return {.logical_bytes = 5000,
          .distinct_bytes = 4096,
          .marginal_bytes = 4096,
          .index_bytes = 72,
          .count = 12};
}

profiler::LayerMemory layer(const std::string& name, const std::string& kind, std::int64_t distinct,
                            std::int64_t owned) {
  profiler::LayerMemory memory;
  memory.name = name;
  memory.kind = kind;
  memory.saved = {.logical_bytes = distinct + 10,
                  .distinct_bytes = distinct,
                  .marginal_bytes = distinct - 6,
                  .index_bytes = 8,
                  .count = 3};
  memory.own_peak_bytes = owned;
  memory.own_categories_at_peak = categories(0, owned);
  return memory;
}

profiler::MemoryProfile memory() {
  profiler::MemoryProfile memory;
  memory.peak = {.bytes = 3145728,
                 .phase = Phase::backward,
                 .layer = "blocks.0.attn",
                 .time_ns = 5000000,
                 .record_index = 901};
  memory.runner_up = {.bytes = 3000000,
                      .phase = Phase::forward,
                      .layer = "head",
                      .time_ns = 4000000,
                      .record_index = 600};
  memory.transient_peak_bytes = 1048576;
  memory.categories_at_peak = categories(1048576, 2097152);
  memory.saved = saved();
  memory.layers = {layer("blocks.0", "block", 4096, 0),
                   layer("blocks.0.attn", "attention", 3000, 2097152),
                   layer("head", "linear", 512, 100)};
  memory.cells_at_peak = {
      {.layer = "", .phase = Phase::setup, .category = Category::parameter, .bytes = 1048576},
      {.layer = "blocks.0.attn",
       .phase = Phase::forward,
       .category = Category::activation,
       .bytes = 2097152}};
  memory.phases = {{.phase = Phase::forward,
                    .peak_bytes = 3000000,
                    .live_at_end_bytes = 2900000,
                    .allocated_bytes = 9000000,
                    .allocate_events = 700},
                   {.phase = Phase::backward,
                    .peak_bytes = 3145728,
                    .live_at_end_bytes = 2000000,
                    .allocated_bytes = 9500000,
                    .allocate_events = 504}};
  memory.timeline = {{.time_ns = 0, .live_bytes = 1048576, .phase = Phase::setup},
                     {.time_ns = 5000000, .live_bytes = 3145728, .phase = Phase::backward}};
  memory.ledger = ledger();
  return memory;
}

reports::ModelFacts model() {
  return {.spec = "vit:dim=32,depth=1",
          .parameter_count = 262144,
          .parameter_bytes = 1048576,
          .buffer_bytes = 0};
}

reports::StrategyOutcome strategy() {
  return {.spec = "sbp:keep=0.5", .effective_keep_ratio = 0.52, .forward_exact = true};
}

}  // namespace

reports::ProfileReport sample_profile() {
  reports::ProfileReport report;
  report.header = header();
  report.model = model();
  report.strategy = strategy();
  report.plan = plan();
  report.memory = memory();
  report.loss = 2.3025850929940455;
  report.time = {.step = {.median = 0.05, .minimum = 0.04, .maximum = 0.0625, .count = 5},
                 .forward = {.median = 0.02, .minimum = 0.018, .maximum = 0.03, .count = 5},
                 .backward = {.median = 0.025, .minimum = 0.02, .maximum = 0.03, .count = 5},
                 .optimizer = {.median = 0.0005, .minimum = 0.0004, .maximum = 0.001, .count = 5},
                 .samples_per_second = 80.0};
  report.resident_set = {.before_bytes = 100000000, .peak_bytes = 104857600};
  report.tracing_seconds = 0.075;
  return report;
}

reports::ProfileReport sample_profile_with_blocks() {
  reports::ProfileReport report = sample_profile();
  profiler::BlockLives blocks;
  blocks.phases = {{Phase::setup, 0, 0}, {Phase::forward, 2, 1000}, {Phase::backward, 5, 4000}};
  blocks.end_ns = 9500;
  blocks.lives = {{.bytes = 1048576,
                   .born_record = 0,
                   .died_record = -1,
                   .born_ns = 0,
                   .died_ns = 0,
                   .category = Category::parameter,
                   .phase = Phase::setup,
                   .layer = "",
                   .saved = false},
                  {.bytes = 2097152,
                   .born_record = 3,
                   .died_record = 7,
                   .born_ns = 2000,
                   .died_ns = 6500,
                   .category = Category::activation,
                   .phase = Phase::forward,
                   .layer = "blocks.0.attn",
                   .saved = true},
                  {.bytes = 100,
                   .born_record = 8,
                   .died_record = 9,
                   .born_ns = 7000,
                   .died_ns = 7001,
                   .category = Category::temporary,
                   .phase = Phase::backward,
                   .layer = "head",
                   .saved = false}};
  report.memory.blocks = blocks;
  return report;
}

reports::ProfileReport sample_device_profile() {
  constexpr std::int64_t kSegment = 2097152, kAt = std::int64_t{1} << 33;
  reports::ProfileReport report = sample_profile_with_blocks();
  profiler::AllocatorLog log;
  log.segments = {{.event = 0, .address = kAt, .bytes = kSegment},
                  {.event = 4,
                   .kind = profiler::SegmentChange::mapped,
                   .pool = profiler::PoolKind::large,
                   .address = 2 * kAt,
                   .bytes = 10 * kSegment}};
  log.blocks = {{.born_event = 1,
                 .address = kAt,
                 .requested_bytes = 1000,
                 .block_bytes = 1024,
                 .category = Category::parameter,
                 .layer = "blocks.0.attn"},
                {.born_event = 2,
                 .free_requested_event = 3,
                 .died_event = 6,
                 .address = kAt + 1024,
                 .requested_bytes = 5,
                 .block_bytes = 512,
                 .layer = {}},
                {.born_event = 5,
                 .free_requested_event = 7,
                 .address = 2 * kAt,
                 .requested_bytes = kSegment,
                 .block_bytes = kSegment + 512,
                 .category = Category::activation,
                 .step = 1,
                 .phase = Phase::forward,
                 .layer = "blocks.0.attn",
                 .saved = true}};
  log.event_ns = {0, 0, 0, 0, 1000, 1500, 2000, 9000};
  log.older_events = 4;
  report.device_memory =
      reports::DeviceMemory{.requested_bytes = 1000 + kSegment,
                            .rounding_bytes = 24 + 512,
                            .awaiting_bytes = 512,
                            .cached_bytes = 11 * kSegment - 1024 - 512 - kSegment - 512,
                            .reserved_bytes = 11 * kSegment,
                            .peak_reserved_bytes = 11 * kSegment,
                            .nameless_bytes = {},
                            .unseen = {},
                            .cupti_reason = {},
                            .balanced = true,
                            .first_problem = {},
                            .blocks = log};
  return report;
}

reports::TrainReport sample_training() {
  reports::TrainReport report;
  report.header = header();
  report.model = model();
  report.strategy = strategy();
  report.plan = plan();
  report.epochs = {
      {.epoch = 1,
       .steps = 16,
       .train_loss = 2.1,
       .learning_rate = 0.0005,
       .seconds = 1.5,
       .data_wait_seconds = 0.01,
       .samples_per_second = 42.0,
       .evaluation = reports::Evaluation{.loss = 1.9, .top1 = 0.25, .top5 = 0.75, .samples = 32},
       .averaged_evaluation =
           reports::Evaluation{.loss = 2.0, .top1 = 0.125, .top5 = 0.625, .samples = 32},
       .resident_bytes = 123456789},
      {.epoch = 2,
       .steps = 32,
       .train_loss = 1.7,
       .learning_rate = 0.0,
       .seconds = 1.25,
       .data_wait_seconds = 0.0,
       .samples_per_second = 51.2,
       .evaluation = std::nullopt,
       .averaged_evaluation = std::nullopt,
       .resident_bytes = std::nullopt}};
  report.step_losses = {2.302, 1.0 / 3.0, 1.5};
  report.final_evaluation = {.loss = 1.8, .top1 = 0.5, .top5 = 0.9, .samples = 32};
  report.final_averaged_evaluation = {.loss = 1.75, .top1 = 0.5, .top5 = 0.95, .samples = 32};
  report.memory = reports::MemorySummary{.peak_bytes = 3145728,
                                         .peak_phase = "backward",
                                         .transient_peak_bytes = 1024,
                                         .saved = saved(),
                                         .categories_at_peak = categories(1048576, 2097152),
                                         .ledger = ledger()};
  report.steps = 32;
  report.seconds = 2.75;
  report.resumed_from = 16;
  report.weights_checksum = "crc32:0123abcd";
  return report;
}

reports::SweepReport sample_sweep() {
  reports::SweepReport report;
  report.header = header();
  report.command = "train";
  report.about = "keep ratios";
  report.paper = "half is enough";
  report.axes = {{.name = "strategy", .values = {"full", "sbp"}},
                 {.name = "strategy.sbp.keep", .values = {"0.25", "0.5"}}};
  reports::PointFigures figures;
  figures.batch = 8;
  figures.peak_bytes = 3145728;
  figures.train_loss = 1.0 / 3.0;
  figures.top1 = 0.5;
  figures.samples_per_second = 42.0;
  report.points = {{.id = "00000000000000aa",
                    .values = {"full", std::nullopt},
                    .status = reports::PointStatus::finished,
                    .reason = "",
                    .seconds = 2.5,
                    .estimated_bytes = 4000000,
                    .figures = figures},
                   {.id = "00000000000000ab",
                    .values = {"sbp", "0.25"},
                    .status = reports::PointStatus::killed,
                    .reason = "killed by signal 9",
                    .seconds = 0.5,
                    .estimated_bytes = 3000000,
                    .figures = {}},
                   {.id = "00000000000000ac",
                    .values = {"sbp", "0.5"},
                    .status = reports::PointStatus::not_run,
                    .reason = "interrupted before it",
                    .seconds = std::nullopt,
                    .estimated_bytes = std::nullopt,
                    .figures = {}}};
  return report;
}

}  // namespace sbp::tests
