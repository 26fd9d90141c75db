#include <doctest/doctest.h>

#include "reports/budget.h"
#include "reports/render.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "tests/reports/samples.h"
#include "tests/usage_error.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

std::string complaint(const std::string& json) {
  try {
    parse_budget(json, "b.json");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

BudgetCheck checked(const std::string& json, const AnyReport& report) {
  return check_budget(parse_budget(json, "b.json"), {"run.json", report});
}

}  // namespace

TEST_CASE("a budget is read in the order of the file") {
  const Budget budget = parse_budget(R"({"about": "for CI", "total": {"peak_bytes": "3 MiB"},
      "phases": {"backward": 5, "forward": {"allocated_bytes": 6}},
      "categories": {"activation": 7}, "layers": {"blocks.*": {"own_peak_bytes": 8}}})",
                                     "b.json");
  CHECK(budget.limits ==
        std::vector<BudgetLimit>{{BudgetPart::total, "", "peak_bytes", 3145728},
                                 {BudgetPart::phases, "backward", "peak_bytes", 5},
                                 {BudgetPart::phases, "forward", "allocated_bytes", 6},
                                 {BudgetPart::categories, "activation", "bytes", 7},
                                 {BudgetPart::layers, "blocks.*", "own_peak_bytes", 8}});
}

TEST_CASE("what is wrong with a budget is said") {
  const std::string start = "cannot read budget 'b.json': ";
  const std::string size = "; it must be a whole number of bytes, or a size such as \"350 MiB\"";
  CHECK(complaint("") == start + "it is empty");
  CHECK(complaint("[1]") == start + "it must be an object with total, phases, categories, layers");
  CHECK(complaint("{}") == start + "it limits nothing");
  CHECK(complaint(R"({"totals": {}})") ==
        start +
            "it has an unknown key 'totals'; did you mean 'total'? Known: about, total, "
            "phases, categories, layers");
  CHECK(complaint(R"({"total": {"peak_bytes": -1}})") == start + "total peak_bytes is -1" + size);
  CHECK(complaint(R"({"total": {"peak_bytes": 1.5}})") == start + "total peak_bytes is 1.5" + size);
  CHECK(complaint(R"({"total": {"peak_bytes": "a lot"}})") ==
        start + "total peak_bytes is \"a lot\"" + size);
  CHECK(complaint(R"({"total": {"peak_bytes": null}})") ==
        start + "total peak_bytes is null" + size);
  CHECK(complaint(R"({"total": {"peak_bytes": 18446744073709551615}})") ==
        start + "total peak_bytes is 18446744073709551615" + size);
  CHECK(complaint(R"({"total": 3})") ==
        start +
            "total must be an object of figures: peak_bytes, transient_peak_bytes, "
            "saved_logical_bytes, saved_distinct_bytes, saved_marginal_bytes, "
            "saved_index_bytes, peak_requested_bytes, peak_allocated_bytes, peak_reserved_bytes, "
            "peak_device_bytes");
  CHECK(complaint(R"({"total": {"peak_bytes": 1, "peak_bytes": 2}})") ==
        start + "'peak_bytes' stands in it twice");
  CHECK(complaint(R"({"phases": {"backwards": 3}})") ==
        start +
            "phases has an unknown name 'backwards'; did you mean 'backward'? Known: setup, "
            "forward, backward, optimizer_step, evaluation");
  CHECK(complaint(R"({"phases": 3})") == start + "phases must be an object of names and limits");
  CHECK(complaint(R"({"categories": {"activation": {"bytes": 3}}})") ==
        start + "categories 'activation' is {\"bytes\":3}" + size);
  CHECK(complaint(R"({"layers": {"a": 3}})") ==
        start +
            "layers 'a' must be an object of figures: own_peak_bytes, saved_logical_bytes, "
            "saved_distinct_bytes, saved_marginal_bytes, saved_index_bytes, requested_bytes, "
            "block_bytes");
  CHECK(complaint(R"({"total": {"peak_bytes": NaN}})").starts_with(start + "NaN"));
}

TEST_CASE("a profile within its budget, to the byte") {
  const char* exact = R"({"total": {"peak_bytes": 3145728, "transient_peak_bytes": 1048576,
      "saved_logical_bytes": 5000, "saved_distinct_bytes": 4096, "saved_marginal_bytes": 4096,
      "saved_index_bytes": 72},
      "phases": {"backward": {"peak_bytes": 3145728, "live_at_end_bytes": 2000000,
                              "allocated_bytes": 9500000}},
      "categories": {"activation": 2097152, "gradient": 0},
      "layers": {"blocks.*": {"own_peak_bytes": 2097152, "saved_distinct_bytes": 4096}}})";
  const BudgetCheck check = checked(exact, tests::sample_profile());
  CHECK(check.lines.size() == 15);  // a pattern names two layers
  for (const BudgetLine& line : check.lines) CHECK_FALSE(line.is_over());
  CHECK(over_budget_text(check).empty());
}

TEST_CASE("one byte over is over, and the offenders are named") {
  const BudgetCheck check =
      checked(R"({"total": {"peak_bytes": 3145727}, "categories": {"activation": "2 MiB"},
                  "layers": {"*.attn": {"saved_distinct_bytes": 2999}}})",
              tests::sample_profile());
  CHECK(over_budget_text(check) ==
        "'run.json' is over the budget 'b.json': total peak_bytes (3,145,728 of 3,145,727 "
        "bytes), layer blocks.0.attn saved_distinct_bytes (3,000 of 2,999 bytes)");
  CHECK(table_csv(document_of(std::vector{check}).tables[0]) ==
        "report,part,subject,figure,limit_bytes,actual_bytes,share,verdict\r\n"
        "run.json,total,,peak_bytes,3145727,3145728,1.0000003178915398,OVER\r\n"
        "run.json,categories,activation,bytes,2097152,2097152,1,ok\r\n"
        "run.json,layers,blocks.0.attn,saved_distinct_bytes,2999,3000,1.0003334444814937,OVER\r\n");
}

TEST_CASE("a limit that names nothing of the report is an error") {
  CHECK_THROWS_WITH_AS(
      checked(R"({"layers": {"blocks.7.*": {"own_peak_bytes": 1}}})", tests::sample_profile()),
      "the budget's layers 'blocks.7.*' names nothing of 'run.json'; it has blocks.0, "
      "blocks.0.attn, head and so on",
      UsageError);
  CHECK_THROWS_WITH_AS(checked(R"({"phases": {"evaluation": 1}})", tests::sample_profile()),
                       "the budget's phases 'evaluation' names nothing of 'run.json'; it has "
                       "forward, backward",
                       UsageError);
}

TEST_CASE("a training run is held to what it reports, and the rest is said") {
  const BudgetCheck check = checked(R"({"total": {"peak_bytes": 1}, "phases": {"backward": 1}})",
                                    tests::sample_training());
  CHECK(check.lines[0].is_over());
  CHECK_FALSE(check.lines[1].actual_bytes.has_value());
  CHECK(document_text(document_of(std::vector{check})).find("note: 1 limit was not checked") !=
        std::string::npos);
  CHECK_THROWS_AS(checked(R"({"phases": {"backward": 1}})", tests::sample_training()), Error);
}

TEST_CASE("nothing that cannot be trusted passes a budget") {
  const char* wide = R"({"total": {"peak_bytes": "1 TiB"}})";
  ProfileReport profile = tests::sample_profile();
  profile.memory.ledger.balanced = false;
  profile.memory.ledger.peak_is_lower_bound = true;
  profile.memory.ledger.first_problem = "3 records were dropped";
  CHECK_THROWS_WITH_AS(checked(wide, profile),
                       "cannot hold 'run.json' to a budget: its books do not balance (3 records "
                       "were dropped); profile it again",
                       Error);
  TrainReport train = tests::sample_training();
  train.memory.reset();
  CHECK_THROWS_AS(checked(wide, train), Error);
  CHECK_THROWS_AS(checked(wide, tests::sample_sweep()), Error);
}
