#include <doctest/doctest.h>

#include <set>

#include "reports/documents.h"
#include "reports/render.h"
#include "reports/short_specs.h"
#include "sbp/base/error.h"
#include "tests/reports/samples.h"

using namespace sbp;
using namespace sbp::reports;

namespace {

std::string csv(const Document& document, const std::string& table) {
  return table_csv(table_named(document, table, "it"));
}

}  // namespace

TEST_CASE("the tables of a profile are the profile") {
  const Document document = document_of(tests::sample_profile());
  CHECK(document.main_table == "layers");
  CHECK(csv(document, "layers") ==
        "name,kind,saved_logical_bytes,saved_distinct_bytes,saved_marginal_bytes,"
        "saved_index_bytes,saved_count,own_peak_bytes\r\n"
        "blocks.0,block,4106,4096,4090,8,3,0\r\n"
        "blocks.0.attn,attention,3010,3000,2994,8,3,2097152\r\n"
        "head,linear,522,512,506,8,3,100\r\n");
  CHECK(csv(document, "phases") ==
        "phase,peak_bytes,live_at_end_bytes,allocated_bytes,allocate_events\r\n"
        "forward,3000000,2900000,9000000,700\r\nbackward,3145728,2000000,9500000,504\r\n");
  CHECK(csv(document, "categories") ==
        "category,bytes,share\r\nactivation,2097152,0.6666666666666666\r\n"
        "parameter,1048576,0.3333333333333333\r\n");
  CHECK(csv(document, "cells") ==
        "layer,phase,category,bytes\r\n,setup,parameter,1048576\r\n"
        "blocks.0.attn,forward,activation,2097152\r\n");
  CHECK(csv(document, "timeline") ==
        "time_ns,live_bytes,phase\r\n0,1048576,setup\r\n5000000,3145728,backward\r\n");
  CHECK(csv(document, "time") ==
        "part,median_seconds,minimum_seconds,maximum_seconds,count\r\nstep,0.05,0.04,0.0625,5\r\n"
        "forward,0.02,0.018,0.03,5\r\nbackward,0.025,0.02,0.03,5\r\n"
        "optimizer,5e-04,4e-04,0.001,5\r\n");
}

TEST_CASE("a unit of blocks owns what lies below it, and the units sum to the layers") {
  const Document document = document_of(tests::sample_profile());
  double blocks = 0, layers = 0;
  for (const auto& row : table_named(document, "blocks", "it").rows) {
    blocks += number_of(row.back());
  }
  for (const auto& row : table_named(document, "layers", "it").rows) {
    layers += number_of(row.back());
  }
  CHECK(blocks == layers);
}

TEST_CASE("the tables of a training run are the run") {
  const Document document = document_of(tests::sample_training());
  CHECK(document.main_table == "epochs");
  CHECK(csv(document, "steps") == "step,loss\r\n1,2.302\r\n2,0.3333333333333333\r\n3,1.5\r\n");
  CHECK(csv(document, "epochs") ==
        "epoch,steps,train_loss,test_loss,top1,top5,averaged_top1,learning_rate,"
        "samples_per_second,data_wait_seconds,seconds,resident_bytes\r\n"
        "1,16,2.1,1.9,0.25,0.75,0.125,5e-04,42,0.01,1.5,123456789\r\n"
        "2,32,1.7,,,,,0,51.2,0,1.25,\r\n");
  const std::string json = table_json(table_named(document, "epochs", "it"));
  CHECK(json.find("\"top1\": null, \"top1_reason\": \"not evaluated after this epoch\"") !=
        std::string::npos);
}

TEST_CASE("every table has cells for its columns, names of their own, and a reason for each gap") {
  for (const Document& document :
       {document_of(tests::sample_profile()), document_of(tests::sample_training()),
        document_of(tests::sample_sweep()),
        comparison_of({{"a", tests::sample_profile()}, {"b", tests::sample_training()}})}) {
    std::set<std::string> tables;
    for (const DataTable& table : document.tables) {
      CAPTURE(table.name);
      CHECK(tables.insert(table.name).second);
      std::set<std::string> columns;
      for (const auto& column : table.columns) CHECK(columns.insert(column.name).second);
      for (const auto& row : table.rows) {
        CHECK(row.size() == table.columns.size());
        for (const Cell& value : row) {
          const auto* unknown = std::get_if<cell::Unknown>(&value);
          CHECK((unknown == nullptr || !unknown->reason.empty()));
        }
      }
    }
    CHECK(tables.contains(document.main_table));
  }
}

TEST_CASE("reports compared: a row each, and what differs between them") {
  ProfileReport other = tests::sample_profile();
  other.strategy.spec = "sbp:keep=0.25";
  other.header.configuration[2].second = std::int64_t{8};
  other.header.environment.sbp_version = "0.2.0";
  const Document document = comparison_of({{"a.json", tests::sample_profile()}, {"b.json", other}});
  CHECK(csv(document, "settings") ==
        "setting,report_1,report_2\r\nbatch,4,8\r\nprogram version,0.1.0,0.2.0\r\n");
  const std::string text = document_text(document);
  CHECK(text.find("  a.json  profile  vit    sbp:keep=0.5 ") != std::string::npos);
  CHECK(text.find("  b.json  profile  vit    sbp:keep=0.25") != std::string::npos);
  CHECK(csv(document, "summary")
            .find("a.json,profile,\"vit:dim=32,depth=1\",sbp:keep=0.5,4,0.52,"
                  "3145728,,,,,1048576,4096,72,") != std::string::npos);
}

TEST_CASE("a setting that a kind of report lacks does not set reports apart") {
  TrainReport train = tests::sample_training();
  train.header.configuration.emplace_back("steps", std::int64_t{3});
  const Document document =
      comparison_of({{"a", tests::sample_profile()}, {"b", train}, {"c", train}});
  CHECK(table_named(document, "settings", "it").rows.empty());
  CHECK(document_text(document).find("settings that differ\n  none\n") != std::string::npos);
  TrainReport longer = train;
  longer.header.configuration.pop_back();
  CHECK(csv(comparison_of({{"b", train}, {"c", longer}}), "settings") ==
        "setting,report_1,report_2\r\nsteps,3,\r\n");
}

TEST_CASE("a sweep is not one row of a comparison") {
  CHECK_THROWS_WITH_AS(
      comparison_of({{"a", tests::sample_profile()}, {"s", tests::sample_sweep()}}),
      "cannot compare 's' with other reports: it is a sweep, whose points are rows of its own; "
      "give it alone, or two sweeps with --diff",
      Error);
}

TEST_CASE("specs are shortened to what differs") {
  const auto shorten = [](std::vector<std::string> specs) { return short_specs(specs); };
  using Specs = std::vector<std::string>;
  CHECK(shorten({"sbp:keep=0.5,mask=grid", "sbp:keep=0.25,mask=grid", "full:a=1"}) ==
        Specs{"sbp:keep=0.5", "sbp:keep=0.25", "full"});
  CHECK(shorten({"full", "full"}) == Specs{"full", "full"});
  CHECK(shorten({"sbp:k=1+quant:b=4", "sbp:k=1+quant:b=8", "sbp:k=2"}) ==
        Specs{"sbp+quant:b=4", "sbp+quant:b=8", "sbp"});
  CHECK(shorten({"a:x=\"1,+\",y=2", "a:x=\"1,-\",y=2"}) == Specs{"a:x=\"1,+\"", "a:x=\"1,-\""});
  CHECK(shorten({"a:x=1", "a"}) == Specs{"a:x=1", "a"});
}
