#include <doctest/doctest.h>

#include <stdexcept>

#include "sbp/base/error.h"
#include "sbp/base/spec.h"
#include "sbp/random.h"

namespace {

using sbp::KeySchema;
using sbp::Spec;
using sbp::SpecSchema;
using sbp::ValueKind;

const std::vector<SpecSchema>& schemas() {
  static const std::vector<SpecSchema> known = {
      {"full", "nothing dropped", {}},
      {"sbp",
       "drops backward paths",
       {{"keep", ValueKind::real, "0.5", "", {}, 0.0, 1.0, true},
        {"mask", ValueKind::word, "grid", "", {"grid", "random"}},
        {"layers", ValueKind::text, "released", ""},
        {"note", ValueKind::text, "", ""}}},
      {"quant",
       "fewer bits",
       {{"bits", ValueKind::integer, "8", "", {}, 1, 8},
        {"group", ValueKind::integer, "", "", {}, 1},
        {"offset", ValueKind::integer, "0", "", {}},
        {"scale", ValueKind::real, "", "", {}, -1e300, 10.0},
        {"mode", ValueKind::word, "", "", {"fast", "exact"}}}},
  };
  return known;
}

Spec one(std::string_view text) {
  return sbp::parse_spec(text, "strategy", schemas());
}
std::vector<Spec> many(std::string_view text) {
  return sbp::parse_specs(text, "strategy", schemas());
}

std::string error_of(std::string_view text) {
  try {
    many(text);
  } catch (const sbp::UsageError& error) {
    CHECK(error.code() == sbp::ExitCode::usage);
    return error.what();
  }
  return "no error";
}

bool says(const std::string& sentence, std::string_view part) {
  const bool found = sentence.find(part) != std::string::npos;
  if (!found) MESSAGE("\"" << sentence << "\" lacks \"" << std::string(part) << "\"");
  return found;
}

}  // namespace

TEST_CASE("spec: defaults are filled in, in schema order") {
  const Spec spec = one("sbp:mask=random");
  CHECK(spec.name == "sbp");
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"keep", "0.5"}, {"mask", "random"}, {"layers", "released"}, {"note", ""}};
  CHECK(spec.values == expected);
  CHECK(spec.real("keep") == 0.5);
  CHECK(spec.text("mask") == "random");
  CHECK(sbp::to_string(spec) == "sbp:keep=0.5,mask=random,layers=released");
  CHECK(sbp::to_string(one("full")) == "full");
}

TEST_CASE("spec: the order of keys as given does not matter") {
  CHECK(one("sbp:mask=random,keep=0.25") == one("sbp:keep=0.25,mask=random"));
  CHECK_FALSE(one("sbp:keep=0.25") == one("sbp"));
}

TEST_CASE("spec: a key that is not set stays empty and cannot be read as a number") {
  const Spec spec = one("quant");
  CHECK(spec.text("group").empty());
  CHECK(spec.text("mode").empty());
  CHECK_THROWS_AS(spec.integer("group"), std::out_of_range);
  CHECK_THROWS_AS(spec.real("scale"), std::out_of_range);
  CHECK_THROWS_AS(spec.text("nothing"), std::out_of_range);
  CHECK(sbp::to_string(spec) == "quant:bits=8,offset=0");
  CHECK(one("quant:group=64").integer("group") == 64);
  CHECK(one("quant:scale=-1.5e2").real("scale") == -150.0);
  CHECK(one("quant:offset=-9223372036854775808").integer("offset") == INT64_MIN);
}

TEST_CASE("spec: '+' separates only before a registered name") {
  CHECK(many("full+sbp").size() == 2);
  CHECK(many("full+sbp+quant").size() == 3);
  CHECK(many("sbp:keep=0.5+quant:bits=4+full").size() == 3);
  CHECK(many("quant:scale=1e+0").front().real("scale") == 1.0);
  CHECK(many("sbp:note=/a+b/c+d").front().text("note") == "/a+b/c+d");
  CHECK(many("sbp:note=/a+fuller").size() == 1);
  CHECK(many("sbp:note=/a+full/b").size() == 1);
  CHECK(many("sbp:note=/a+full").size() == 2);
  CHECK(many("sbp:note=\"/a+full\"").size() == 1);
  CHECK(many("sbp:note=\"/a+full\"").front().text("note") == "/a+full");
}

TEST_CASE("spec: double quotes protect every sign") {
  const Spec spec = one(R"(sbp:note="a,keep=1:+full ""x""",keep=0.25)");
  CHECK(spec.text("note") == R"(a,keep=1:+full "x")");
  CHECK(spec.text("keep") == "0.25");
  CHECK(one(sbp::to_string(spec)) == spec);
  CHECK(one("sbp:keep=\"0.25\"") == one("sbp:keep=0.25"));
  CHECK(one("sbp:note=\"\"") == one("sbp"));
  CHECK(one("sbp:note=") == one("sbp"));
}

TEST_CASE("spec: unknown names and keys say which ones there are") {
  CHECK(error_of("sbpp") == "unknown strategy 'sbpp'; did you mean 'sbp'? Known: full, sbp, quant");
  CHECK(says(error_of("zzzzzz"), "unknown strategy 'zzzzzz'; known: full, sbp, quant"));
  CHECK(says(error_of("sbp+qant:bits=4"), "unknown strategy 'qant'; did you mean 'quant'?"));
  CHECK(says(error_of("sbp:keep=0.5+qant:bits=4"), "did you mean 'quant'?"));
  CHECK(says(error_of("sbp:kep=0.5"),
             "unknown sbp key 'kep'; did you mean 'keep'? Known: keep, mask, layers, note"));
  CHECK(says(error_of("sbp:tiny"), "unknown sbp key 'tiny'"));
  CHECK(says(error_of("full:keep=1"), "it takes none"));
  CHECK(says(error_of(":keep=1"), "a name is missing in strategy ':keep=1'; known: full"));
}

TEST_CASE("spec: malformed text") {
  CHECK(says(error_of(""), "the strategy is empty; known: full, sbp, quant"));
  CHECK(says(error_of("sbp:keep=0.5,keep=0.6"), "strategy sbp:keep is given twice"));
  CHECK(says(error_of("sbp:keep"), "strategy sbp:keep has no value; write keep=VALUE"));
  CHECK(says(error_of("sbp:keep="), "strategy sbp:keep is empty"));
  CHECK(says(error_of("sbp:keep=\"\""), "strategy sbp:keep is empty"));
  CHECK(says(error_of("sbp:mask="), "strategy sbp:mask is empty"));
  CHECK(says(error_of("sbp:layers="), "strategy sbp:layers is empty"));
  CHECK(says(error_of("sbp:note=\"x"), "never closed"));
  CHECK(says(error_of("sbp:note=a\"x\""), "around the whole value"));
  CHECK(says(error_of("sbp:note=\"x\"y"), "around the whole value"));
  CHECK(says(error_of("sbp:note=\"x\"y\"z\""), "around the whole value"));
  CHECK(says(error_of("sbp:"), "missing after ':' or ','"));
  CHECK(says(error_of("sbp:keep=0.5,"), "missing after ':' or ','"));
  CHECK(says(error_of("sbp:,keep=0.5"), "missing after ':' or ','"));
  CHECK(says(error_of("sbp+"), "nothing follows the last '+'"));
  CHECK(says(error_of("+sbp"), "a name is missing"));
  CHECK_THROWS_AS(one("full+sbp"), sbp::UsageError);
}

TEST_CASE("spec: numbers are whole, finite and in range") {
  CHECK(error_of("sbp:keep=0") == "strategy sbp:keep must be a number in (0, 1], not '0'");
  for (const std::string bad : {"-0.1", "1.0001", "nan", "inf", "-inf", "1e999", "0.5x", " 0.5",
                                "0x1", "+0.5", "0,5", "0.5 ", "1e-999", "half"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(many(sbp::concat("sbp:keep=", bad)), sbp::UsageError);
  }
  CHECK(one("sbp:keep=1").real("keep") == 1.0);
  CHECK(one("sbp:keep=1e-3").real("keep") == 0.001);
  CHECK(says(error_of("quant:bits=9"), "must be a whole number in [1, 8], not '9'"));
  CHECK(says(error_of("quant:bits=4.0"), "whole number"));
  CHECK(says(error_of("quant:group=0"), "must be a whole number of at least 1, not '0'"));
  CHECK(says(error_of("quant:scale=11"), "must be a number of at most 10, not '11'"));
  CHECK(says(error_of("quant:offset=9223372036854775808"), "must be a whole number, not"));
}

TEST_CASE("spec: words are from the list") {
  CHECK(says(error_of("sbp:mask=gird"),
             "unknown strategy sbp:mask 'gird'; did you mean 'grid'? "
             "Known: grid, random"));
  CHECK(says(error_of("quant:mode=Fast"), "Known: fast, exact"));
}

TEST_CASE("spec: lists and ranges") {
  CHECK(sbp::parse_list("[a;b;c]") == std::vector<std::string>{"a", "b", "c"});
  CHECK(sbp::parse_list("[a]") == std::vector<std::string>{"a"});
  CHECK(sbp::parse_list("4-11") == std::vector<std::string>{"4-11"});
  for (const std::string bad :
       {"", "[]", "[", "]", "[a", "a]", "a;b", "[a;]", "[;a]", "[[a]]", "[a;;b]"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(sbp::parse_list(bad), sbp::UsageError);
  }
  CHECK(sbp::parse_range("4-11").first == 4);
  CHECK(sbp::parse_range("4-11").last == 11);
  CHECK(sbp::parse_range("7").first == 7);
  CHECK(sbp::parse_range("7").last == 7);
  CHECK(sbp::parse_range("0-0").last == 0);
  for (const std::string bad : {"", "-", "-3", "3-", "11-4", "4--2", "a-b", "4-11x", "4 - 11",
                                "1.5", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(sbp::parse_range(bad), sbp::UsageError);
  }
}

// Whatever comes in, it is refused with a sentence or understood; what is understood survives a
// round trip through its resolved spelling.
TEST_CASE("spec: hostile text is refused or survives a round trip") {
  const std::vector<std::string> pieces = {"sbp",       "quant",    "full",
                                           "+",         ":",        ",",
                                           "=",         "\"",       "\"\"",
                                           "keep",      "note",     "layers",
                                           "bits",      "mask",     "grid",
                                           "random",    "0.5",      "1e+5",
                                           "8",         "-1",       ";",
                                           "[",         "]",        " ",
                                           "\n",        "\t",       "x",
                                           "sbp:note=", "+full",    ",keep=0.25",
                                           "\xff",      "\xc3\xa9", std::string(1, '\0'),
                                           "\\",        "'",        "%s"};
  sbp::RandomStream stream({.seed = 7});
  int understood = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string text = round % 2 == 0 ? "" : "sbp:note=";
    const std::uint64_t count = stream.below(9);
    for (std::uint64_t i = 0; i < count; ++i) text += pieces[stream.below(pieces.size())];
    std::vector<Spec> specs;
    try {
      specs = many(text);
    } catch (const sbp::UsageError& error) {
      REQUIRE(std::string(error.what()).size() >= 10);
      continue;
    }
    ++understood;
    REQUIRE(!specs.empty());
    REQUIRE(many(sbp::to_string(specs)) == specs);
  }
  CHECK(understood > 2000);
  CHECK(understood < 48000);
}

// Any text at all can be a value: quoting brings it back byte by byte.
TEST_CASE("spec: any value of a text key survives a round trip") {
  sbp::RandomStream stream({.seed = 8});
  for (int round = 0; round < 20000; ++round) {
    Spec spec = one("sbp");
    std::string& note = spec.values.back().second;
    const std::uint64_t length = stream.below(12);
    for (std::uint64_t i = 0; i < length; ++i) {
      note += stream.below(2) == 0 ? "+:,=\"full"[stream.below(9)]
                                   : static_cast<char>(stream.below(256));
    }
    const std::vector<Spec> pair = {spec, one("full")};
    REQUIRE(one(sbp::to_string(spec)) == spec);
    REQUIRE(many(sbp::to_string(pair)) == pair);
  }
}

TEST_CASE("spec: one key is set and the rest stays as typed") {
  const auto set = [](const std::string& text, const sbp::KeySetting& setting) {
    return sbp::with_key(text, "strategy", schemas(), setting).value_or("(none)");
  };
  CHECK(set("sbp", {"sbp", "keep", "0.25"}) == "sbp:keep=0.25");
  CHECK(set("sbp:mask=random,keep=0.5", {"sbp", "keep", "0.25"}) == "sbp:mask=random,keep=0.25");
  CHECK(set("sbp:mask=random", {"sbp", "keep", "1"}) == "sbp:mask=random,keep=1");
  CHECK(set("full", {"sbp", "keep", "0.25"}) == "(none)");
  CHECK(set("quant:bits=4+sbp:note=\"a+b\"", {"sbp", "note", "c,\"d\""}) ==
        "quant:bits=4+sbp:note=\"c,\"\"d\"\"\"");
  CHECK(set("sbp:layers=0+quant+sbp:layers=1", {"sbp", "keep", "0.25"}) ==
        "sbp:layers=0,keep=0.25+quant+sbp:layers=1,keep=0.25");
  CHECK(set("sbp:note=\"x,keep=1\"", {"sbp", "keep", "0.25"}) == "sbp:note=\"x,keep=1\",keep=0.25");
  CHECK_THROWS_WITH_AS(set("sbp", {"sbb", "keep", "1"}),
                       "unknown strategy 'sbb'; did you mean 'sbp'? Known: full, sbp, quant",
                       sbp::UsageError);
  CHECK_THROWS_AS(set("sbp", {"sbp", "kep", "1"}), sbp::UsageError);
  CHECK_THROWS_AS(set("sbp", {"sbp", "keep", "2"}), sbp::UsageError);
  CHECK_THROWS_AS(set("spb", {"sbp", "keep", "1"}), sbp::UsageError);
}
