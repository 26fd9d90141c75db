#include <doctest/doctest.h>

#include "reports/text.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the whole text of a profile") {
  CHECK(to_text(tests::sample_profile()) == R"(profile of one step
  model      vit:dim=32,depth=1
             262,144 parameters, 1.0 MiB
  data       synthetic:samples=64, batch 4
  strategy   sbp:keep=0.5
             effective keep ratio 0.5200, forward exact
  optimizer  adamw:lr=0.001
  step       label smoothing 0.1
  device     cpu, fp32, threads 1, seed 7

memory of one training step
  peak          3.0 MiB in backward, at blocks.0.attn
  transient     1.0 MiB of the peak (33.3 %): workspace, autograd detail, temporary
  runner-up     2.9 MiB in forward, at head
  saved         4.0 KiB distinct, 4.9 KiB logical in 12 saves, 72 B of indices and scales
  resident set  100.0 MiB at most, +4.6 MiB since before the model was built
  loss          2.302585
  ledger        balanced: 1,204 allocations, 1,100 frees, 0 dropped

alive at the peak
  category      bytes    share
  activation  2.0 MiB   66.7 %
  parameter   1.0 MiB   33.3 %
  total       3.0 MiB  100.0 %

phases
  phase        peak  left at its end  allocated in all  allocations
  forward   2.9 MiB          2.8 MiB           8.6 MiB          700
  backward  3.0 MiB          1.9 MiB           9.1 MiB          504

blocks, and layers outside them
  block or layer  kind    saved logical  distinct  marginal  at the peak
  blocks.0        block         4.0 KiB   4.0 KiB   4.0 KiB      2.0 MiB
  head            linear          522 B     512 B     506 B        100 B
  total                         4.9 KiB   4.0 KiB   4.0 KiB      2.0 MiB

layers that own most at the peak
  layer          kind       saved logical  distinct  marginal  owned at the peak
  blocks.0.attn  attention        2.9 KiB   2.9 KiB   2.9 KiB            2.0 MiB
  head           linear             522 B     512 B     506 B              100 B
  blocks.0       block            4.0 KiB   4.0 KiB   4.0 KiB                0 B

plan
  site           kind       select                   keep  effective  rows kept  mask  memory  by
  blocks.0.attn  attention  query rows, grid mask  0.5000     0.5200    9 of 17  all   store   sbp
  and 1 site left plain

time of untraced steps
  part        median  minimum  maximum  steps
  step       50.0 ms  40.0 ms  62.5 ms      5
  forward    20.0 ms  18.0 ms  30.0 ms      5
  backward   25.0 ms  20.0 ms  30.0 ms      5
  optimizer   500 us   400 us   1.0 ms      5
  80.0 samples per second

warnings
  only one timed step
)");
}

TEST_CASE("the whole text of a training run") {
  CHECK(to_text(tests::sample_training()) == R"(training run
  model      vit:dim=32,depth=1
             262,144 parameters, 1.0 MiB
  data       synthetic:samples=64, batch 4
  strategy   sbp:keep=0.5
             effective keep ratio 0.5200, forward exact
  optimizer  adamw:lr=0.001
  step       label smoothing 0.1
  device     cpu, fp32, threads 1, seed 7

epochs
  epoch  steps  train loss  test loss    top-1    top-5  learning rate  samples/s   waited    time
      1     16      2.1000     1.9000  25.00 %  75.00 %         0.0005       42.0  10.0 ms  1.50 s
      2     32      1.7000          -        -        -              0       51.2     0 us  1.25 s

result
  steps             32 in 2.75 s
  training loss     2.3020 at the first step, 1.5000 at the last
  resumed           from the checkpoint of step 16
  test              top-1 50.00 %, top-5 90.00 %, loss 1.8000 on 32 samples
  averaged weights  top-1 50.00 %, top-5 95.00 %, loss 1.7500 on 32 samples
  weights           crc32:0123abcd

memory of one training step
  peak       3.0 MiB, in backward
  transient  1.0 KiB of the peak
  saved      4.0 KiB distinct, 4.9 KiB logical in 12 saves, 72 B of indices and scales
  ledger     balanced: 1,204 allocations, 1,100 frees, 0 dropped

alive at the peak
  category      bytes    share
  activation  2.0 MiB   66.7 %
  parameter   1.0 MiB   33.3 %
  total       3.0 MiB  100.0 %

warnings
  only one timed step
)");
}

TEST_CASE("top limits the layers, those that own most first, and says how many more") {
  const std::string text = to_text(tests::sample_profile(), {.top = 1});
  CHECK(contains(text, "\n  blocks.0.attn  attention "));
  CHECK(contains(text, "  and 2 layers more, each owning as little or less; --top 0 shows all\n"));
  CHECK_FALSE(contains(to_text(tests::sample_profile(), {.top = 0}), "--top 0"));
}

TEST_CASE("books that do not balance are not said to") {
  ProfileReport report = tests::sample_profile();
  report.memory.ledger.balanced = false;
  report.memory.ledger.dropped_events = 17;
  report.memory.ledger.unmatched_frees = 2;
  report.memory.ledger.first_problem = "17 records did not fit";
  report.memory.ledger.peak_is_lower_bound = true;
  CHECK(contains(to_text(report),
                 "NOT BALANCED: 1,204 allocations, 1,100 frees, 17 dropped, 2 unmatched frees; 17 "
                 "records did not fit; the peak is a lower bound\n"));
}

TEST_CASE("an interrupted training says so") {
  TrainReport report = tests::sample_training();
  report.interrupted = true;
  report.final_evaluation.reset();
  report.final_averaged_evaluation.reset();
  report.memory.reset();
  const std::string text = to_text(report);
  CHECK(contains(text, "\ninterrupted after 32 steps\n"));
  CHECK(contains(text, "  test           not evaluated\n"));
  CHECK_FALSE(contains(text, "memory of one training step"));
}

TEST_CASE("colour marks headings and nothing else") {
  CHECK_FALSE(contains(to_text(tests::sample_profile()), "\x1b"));
  CHECK(contains(to_text(tests::sample_profile(), {.color = true}), "\x1b[1mplan\x1b[0m\n"));
}

TEST_CASE("texts of a report cannot drive the terminal") {
  ProfileReport report = tests::sample_profile();
  report.model.spec = "\x1b[2Jvit";
  report.header.warnings = {"two\nlines"};
  report.memory.ledger.first_problem = "\a";
  const std::string text = to_text(report);
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK_FALSE(contains(text, "\a"));
  CHECK(contains(text, "  two?lines\n"));
}

TEST_CASE("the plan alone") {
  const ProfileReport report = tests::sample_profile();
  CHECK(plan_text(report.plan, report.strategy) ==
        R"(plan of sbp:keep=0.5
  effective keep ratio 0.5200, forward exact
  site           kind       select                   keep  effective  rows kept  mask  memory  by
  blocks.0.attn  attention  query rows, grid mask  0.5000     0.5200    9 of 17  all   store   sbp
  and 1 site left plain
)");
  CHECK(plan_text({report.plan[1]}, {.spec = "full"}) ==
        R"(plan of full
  effective keep ratio 1.0000, forward exact
  every site plain (1 in all): nothing dropped, nothing coded
)");
}
