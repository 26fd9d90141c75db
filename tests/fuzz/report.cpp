// Reports, read back from JSON.
#include <variant>

#include "reports/chrome_trace.h"
#include "reports/diff.h"
#include "reports/documents.h"
#include "reports/json.h"
#include "reports/memory_pickle.h"
#include "reports/render.h"
#include "reports/text.h"
#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using namespace sbp::reports;

SBP_FUZZ_TARGET(report) {
  fuzz::refused_or([&] {
    const AnyReport report = parse_report(fuzz::as_text(input), "input");
    const auto written = [](const auto& any) { return to_json(any); };
    const std::string json = std::visit(written, report);
    const AnyReport again = parse_report(json, "output");
    fuzz::require(std::visit(written, again) == json, "what was read is written alike");
    std::visit([](const auto& any) { to_text(any); }, report);
    const Document document = document_of(report);
    document_text(document);
    document_markdown(document);
    document_json(document);
    for (const DataTable& table : document.tables) table_csv(table);
    difference_of({"a", report}, {"b", again});
    if (const auto* profile = std::get_if<ProfileReport>(&report);
        profile != nullptr && profile->memory.blocks) {
      chrome_trace(*profile);
      memory_pickle(*profile);
    }
    if (const auto* prediction = std::get_if<PredictionReport>(&report);
        prediction != nullptr && prediction->prediction.blocks) {
      chrome_trace(*prediction);
      memory_pickle(*prediction);
    }
  });
}
