#include <doctest/doctest.h>

#include "reports/diff.h"
#include "reports/render.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ProfileReport changed_profile() {
  ProfileReport report = tests::sample_profile();
  report.strategy = {.spec = "full"};
  report.memory.peak.bytes = 4194304;
  report.memory.layers[1].saved.distinct_bytes = 6072;
  report.memory.layers[2].name = "classifier";
  return report;
}

}  // namespace

TEST_CASE("the whole text of a difference") {
  CHECK(diff_text(tests::sample_profile(), changed_profile()) ==
        R"(difference of two profiles
  model   vit:dim=32,depth=1
  before  sbp:keep=0.5
          effective keep ratio 0.5200, forward exact
  after   full
          effective keep ratio 1.0000, forward exact

totals
  total                   before    after    change   ratio
  peak                   3.0 MiB  4.0 MiB  +1.0 MiB  1.333x
  transient at the peak  1.0 MiB  1.0 MiB       0 B  1.000x
  saved distinct         4.0 KiB  4.0 KiB       0 B  1.000x
  saved logical          4.9 KiB  4.9 KiB       0 B  1.000x
  indices and scales        72 B     72 B       0 B  1.000x
  step time              50.0 ms  50.0 ms     +0 us  1.000x
  forward time           20.0 ms  20.0 ms     +0 us  1.000x
  backward time          25.0 ms  25.0 ms     +0 us  1.000x

alive at the peak
  category     before    after  change   ratio
  parameter   1.0 MiB  1.0 MiB     0 B  1.000x
  activation  2.0 MiB  2.0 MiB     0 B  1.000x

phases: peak, what is left at the end, allocated in all
  phase     figure            before    after  change   ratio
  forward   peak             2.9 MiB  2.9 MiB     0 B  1.000x
  forward   left at its end  2.8 MiB  2.8 MiB     0 B  1.000x
  forward   allocated        8.6 MiB  8.6 MiB     0 B  1.000x
  backward  peak             3.0 MiB  3.0 MiB     0 B  1.000x
  backward  left at its end  1.9 MiB  1.9 MiB     0 B  1.000x
  backward  allocated        9.1 MiB  9.1 MiB     0 B  1.000x

layers, by the size of the change (saved: distinct bytes; a parent includes its children)
  layer          saved before    after    change  owned at the peak before    after  change
  blocks.0.attn       2.9 KiB  5.9 KiB  +3.0 KiB                   2.0 MiB  2.0 MiB     0 B
  head                  512 B      0 B    -512 B                     100 B      0 B  -100 B  only before
  classifier              0 B    512 B    +512 B                       0 B    100 B  +100 B  only after
  1 layer unchanged
)");
}

TEST_CASE("a report does not differ from itself") {
  const std::string text = diff_text(tests::sample_profile(), tests::sample_profile());
  CHECK(contains(text, "  3 layers unchanged\n"));
  CHECK_FALSE(contains(text, "blocks.0.attn"));
}

TEST_CASE("top limits the layers of a difference") {
  const std::string text = diff_text(tests::sample_profile(), changed_profile(), {.top = 1});
  CHECK(contains(text, "blocks.0.attn"));
  CHECK_FALSE(contains(text, "classifier"));
  CHECK(contains(text, "  and 2 more that changed; --top 0 shows all\n"));
}

TEST_CASE("other settings that differ are said at the top") {
  ProfileReport after = tests::sample_profile();
  after.header.configuration[2].second = std::int64_t{8};
  after.model.spec = "vit:dim=64,depth=1";
  const std::string text = diff_text(tests::sample_profile(), after);
  CHECK(contains(text, "\n  note: batch differs: 4 | 8\n"));
  CHECK(contains(text, "\n  note: model differs: vit:dim=32,depth=1 | vit:dim=64,depth=1\n"));
}

TEST_CASE("different models cannot be compared") {
  ProfileReport after = tests::sample_profile();
  after.model.spec = "mlp:hidden=10";
  CHECK_THROWS_WITH_AS(diff_text(tests::sample_profile(), after),
                       "cannot compare profiles of different models: 'vit' and 'mlp'; give two of "
                       "one model",
                       Error);
}

TEST_CASE("what a parent owns at the peak includes its children") {
  ProfileReport before = tests::sample_profile();
  ProfileReport after = before;
  const auto with = [](std::string name, std::int64_t bytes) {
    profiler::LayerMemory layer;
    layer.name = std::move(name);
    layer.own_peak_bytes = bytes;
    return layer;
  };
  before.memory.layers = {with("net", 0), with("net.a", 1024), with("net.a.b", 2048),
                          with("net.ab", 512)};
  after.memory.layers = {with("net", 0), with("net.a", 0), with("net.a.b", 1024),
                         with("net.ab", 512)};
  const std::string text = diff_text(before, after);
  CHECK(contains(text, "3.5 KiB  1.5 KiB  -2.0 KiB"));  // net
  CHECK(contains(text, "3.0 KiB  1.0 KiB  -2.0 KiB"));  // net.a
  CHECK(contains(text, "2.0 KiB  1.0 KiB  -1.0 KiB"));  // net.a.b
  CHECK(contains(text, "1 layer unchanged"));
}

TEST_CASE("another program is said at the top") {
  ProfileReport after = tests::sample_profile();
  after.header.environment.sbp_version = "0.2.0";
  CHECK(contains(diff_text(tests::sample_profile(), after),
                 "\n  note: program version differs: 0.1.0 | 0.2.0\n"));
}

TEST_CASE("a difference for programs has exact numbers") {
  const Document document = difference_of(tests::sample_profile(), changed_profile());
  CHECK(table_csv(table_named(document, "totals", "it"))
            .starts_with("figure,before,after,change,ratio\r\n"
                         "peak_bytes,3145728,4194304,1048576,1.3333333333333333\r\n"));
  CHECK(table_csv(table_named(document, "layers", "it")) ==
        "name,saved_before_bytes,saved_after_bytes,saved_change_bytes,owned_before_bytes,"
        "owned_after_bytes,owned_change_bytes,largest_change_bytes,side\r\n"
        "blocks.0.attn,3000,6072,3072,2097152,2097152,0,3072,\r\n"
        "head,512,0,-512,100,0,-100,512,only before\r\n"
        "classifier,0,512,512,0,100,100,512,only after\r\n");
}

TEST_CASE("the difference of two training runs") {
  TrainReport after = tests::sample_training();
  after.epochs.pop_back();
  after.epochs[0].train_loss = 2.0;
  after.final_evaluation->top1 = 0.625;
  after.memory->peak_bytes = 1048576;
  const Document document = difference_of(tests::sample_training(), after);
  const std::string totals = table_csv(table_named(document, "totals", "it"));
  CHECK(contains(totals, "peak_bytes,3145728,1048576,-2097152,0.3333333333333333\r\n"));
  CHECK(contains(totals, "top1,0.5,0.625,0.125,1.25\r\n"));
  CHECK(table_csv(table_named(document, "epochs", "it")) ==
        "epoch,figure,before,after,change,ratio\r\n"
        "1,train_loss,2.1,2,-0.10000000000000009,0.9523809523809523\r\n"
        "1,test_loss,1.9,1.9,0,1\r\n1,top1,0.25,0.25,0,1\r\n2,train_loss,1.7,,,\r\n");
  CHECK(contains(document_text(document), "+12.50 points"));
  after.memory.reset();
  CHECK(contains(document_text(difference_of(tests::sample_training(), after)),
                 "note: after has no memory: no step was traced"));
}

TEST_CASE("the difference of two sweeps matches groups by their axes") {
  SweepReport before = tests::sample_sweep();
  SweepReport after = before;
  // The axes in another order, and one more value.
  std::swap(after.axes[0], after.axes[1]);
  for (SweepPoint& point : after.points) std::swap(point.values[0], point.values[1]);
  after.points[0].figures.peak_bytes = 2097152;
  after.points[2].values[0] = "0.75";
  const Document document = difference_of(before, after);
  CHECK(table_csv(table_named(document, "groups", "it")) ==
        "group,figure,before,after,change,ratio\r\n"
        "strategy=full,peak_bytes,3145728,2097152,-1048576,0.6666666666666666\r\n"
        "strategy=sbp strategy.sbp.keep=0.5,only before,,,,\r\n"
        "strategy=sbp strategy.sbp.keep=0.75,only after,,,,\r\n");
  CHECK(
      contains(document_text(document), "  1 group unchanged\n  2 groups are on one side only\n"));
  after.command = "profile";
  CHECK_THROWS_WITH_AS(difference_of(before, after),
                       "cannot compare a sweep of sbp-train with one of sbp-profile; give two of "
                       "one command",
                       Error);
}

TEST_CASE("reports of two kinds cannot be compared") {
  CHECK_THROWS_WITH_AS(
      difference_of({"a.json", tests::sample_profile()}, {"b.json", tests::sample_training()}),
      "cannot compare 'a.json' of kind 'profile' with 'b.json' of kind 'train'; "
      "give two of one kind",
      Error);
}
