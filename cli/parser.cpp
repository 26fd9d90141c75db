#include "cli/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "experiments/recipes/option_file.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "sbp/base/version.h"

namespace sbp::cli {
namespace {

// The long name without dashes: what errors call the option.
std::string shown_name(const std::string& names) {
  return names.substr(names.rfind(',') == std::string::npos ? 0 : names.rfind(',') + 1);
}

[[noreturn]] void refuse(const OptionHelp& help, const std::string& value,
                         const std::string& wanted) {
  throw UsageError(concat(shown_name(help.names), " is '", value, "'; it must be ", wanted));
}

std::int64_t checked_integer(const OptionHelp& help, const std::string& value, IntegerRange range) {
  std::int64_t number = 0;
  if (parse_number(value, number) != std::errc() || number < range.minimum ||
      number > range.maximum) {
    refuse(help, value, concat("a whole number from ", range.minimum, " to ", range.maximum));
  }
  return number;
}

std::string with_default(const OptionHelp& help, const std::string& value) {
  return value.empty() ? help.description : concat(help.description, "; default ", value);
}

// The library says "--batch: 1 required N missing" or "--batch: At Most 1 required but received 2".
std::string mismatch_sentence(const std::string& message) {
  const std::string option = message.substr(0, message.find(':'));
  const bool missing = message.find("missing") != std::string::npos;
  return concat(option, missing ? " needs a value" : " is given more than once", "; see --help");
}

// The library leaves two blank lines between groups.
std::string without_double_blanks(std::string text) {
  for (std::size_t place = 0; (place = text.find("\n\n\n", place)) != std::string::npos;) {
    text.erase(place, 1);
  }
  return text;
}

}  // namespace

class Parser::Library {
 public:
  Library(const std::string& purpose, const std::string& program) : app(purpose + "\n", program) {}

  using Take = std::function<void(const std::string&)>;

  // Adds an option whose value `take` checks and keeps, once the whole line is read.
  CLI::Option* add(const OptionHelp& help, const std::string& description, const Take& take) {
    const std::string name = shown_name(help.names);
    takers[name] = take;
    CLI::Option* option = app.add_option_function<std::string>(
        help.names, [this, name](const std::string& value) { typed.emplace_back(name, value); },
        description);
    return option->type_name(help.value)->group(heading);
  }

  std::string unknown_option(const std::string& word) const;
  void add_file(const std::string& path);
  // Each source in turn, lowest first, then what was typed.
  void take_all();

  CLI::App app;
  std::string heading = "Options";
  std::map<std::string, Take> takers;                      // long name -> what keeps its value
  std::vector<std::pair<std::string, std::string>> typed;  // long name, value
  std::vector<std::vector<std::string>> alternatives;
  std::string file_option;                   // long name; empty: there is none
  std::set<std::string> flags, repeatable;   // long names
  std::vector<OptionSource> sources;         // lowest first
  std::map<std::string, GivenOption> given;  // by long name

 private:
  const std::vector<std::string>* alternatives_of(const std::string& name) const;
  // Whether one of `names` is typed or stands in a source from `first` on.
  bool is_given_above(const std::vector<std::string>& names, std::size_t first) const;
  void take_source(std::size_t index);
  void take_typed();
  void take(const std::string& name, const std::string& value, const std::string& file);
};

// The sentence about a word that no option or place takes.
std::string Parser::Library::unknown_option(const std::string& word) const {
  if (!word.starts_with('-')) {
    return concat("unexpected word '", word, "'; options begin with --, see --help");
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::string name = word.substr(0, word.find('='));
  const std::string guess = nearest(name, known);
  return concat(
      "unknown option '", name, "'",
      guess.empty() ? "; see --help" : concat("; did you mean '", guess, "'? See --help"));
}

const std::vector<std::string>* Parser::Library::alternatives_of(const std::string& name) const {
  const auto found = std::ranges::find_if(alternatives, [&](const auto& names) {
    return std::ranges::find(names, name) != names.end();
  });
  return found == alternatives.end() ? nullptr : &*found;
}

bool Parser::Library::is_given_above(const std::vector<std::string>& names,
                                     std::size_t first) const {
  const auto is_one = [&](const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  for (std::size_t i = first; i < sources.size(); ++i) {
    for (const auto& option : sources[i].options) {
      if (is_one("--" + option.first)) return true;
    }
  }
  return std::ranges::any_of(typed, [&](const auto& pair) { return is_one(pair.first); });
}

void Parser::Library::add_file(const std::string& path) {
  sources.push_back({concat("config '", path, "'"), experiments::read_option_file(path).options});
}

void Parser::Library::take(const std::string& name, const std::string& value,
                           const std::string& file) {
  takers.at(name)(value);
  if (!repeatable.contains(name)) given[name] = {name.substr(2), value, flags.contains(name), file};
}

void Parser::Library::take_source(std::size_t index) {
  const OptionSource& source = sources[index];
  std::map<const void*, std::string> chosen;  // by group of alternatives
  for (const auto& [key, value] : source.options) {
    const std::string name = "--" + key;
    if (name == file_option) {
      throw UsageError(concat(source.shown, " names another config; only one is read"));
    }
    if (!takers.contains(name)) throw UsageError(concat(source.shown, ": ", unknown_option(name)));
    if (const auto* names = alternatives_of(name)) {
      if (is_given_above(*names, index + 1)) continue;
      const auto [other, is_first] = chosen.emplace(names, name);
      if (!is_first) {
        throw UsageError(concat(source.shown, " has both ", other->second, " and ", name,
                                "; give one of the two"));
      }
    }
    if (repeatable.contains(name) && is_given_above({name}, index + 1)) continue;
    try {
      take(name, value, source.shown);
    } catch (const UsageError& error) {
      throw UsageError(concat(source.shown, ": ", error.what()));
    }
  }
}

void Parser::Library::take_all() {
  for (const auto& [name, value] : typed) {
    if (name == file_option) add_file(value);
  }
  for (std::size_t i = 0; i < sources.size(); ++i) take_source(i);
  take_typed();
}

void Parser::Library::take_typed() {
  std::map<const void*, std::pair<std::string, std::string>> chosen;
  for (const auto& [name, value] : typed) {
    if (const auto* names = alternatives_of(name)) {
      const auto [other, is_first] = chosen.emplace(names, std::pair(name, value));
      if (!is_first) {
        const auto& [other_name, other_value] = other->second;
        throw UsageError(concat(other_name, " is '", other_value, "' and ", name, " is '", value,
                                "'; give one of the two"));
      }
    }
    take(name, value, "");
  }
}

Parser::Parser(std::string program, const std::string& purpose, const std::string& examples)
    : library_(std::make_unique<Library>(purpose, program)) {
  CLI::App& app = library_->app;
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", concat(program, " ", version()), "Print the version and exit");
  app.get_formatter()->column_width(34);
  app.footer("\n" + examples);
}

Parser::~Parser() = default;

void Parser::group(std::string heading) {
  library_->heading = std::move(heading);
}

void Parser::text(const OptionHelp& help, std::string& target) {
  library_->add(help, with_default(help, target), [help, &target](const std::string& value) {
    if (value.empty()) refuse(help, value, concat("a ", help.value, ", not empty"));
    target = value;
  });
}

void Parser::texts(const OptionHelp& help, std::vector<std::string>& target) {
  const std::string name = shown_name(help.names);
  library_->repeatable.insert(name);
  library_->takers[name] = [help, &target](const std::string& value) {
    if (value.empty()) refuse(help, value, concat("a ", help.value, ", not empty"));
    target.push_back(value);
  };
  library_->app
      .add_option_function<std::vector<std::string>>(
          help.names,
          [this, name](const std::vector<std::string>& values) {
            for (const std::string& value : values) library_->typed.emplace_back(name, value);
          },
          help.description)
      ->allow_extra_args(false)
      ->type_name(help.value)
      ->group(library_->heading);
}

void Parser::choice(const OptionHelp& help, std::string& target,
                    const std::vector<std::string>& words) {
  library_->add(help, with_default(help, target), [help, words, &target](const std::string& value) {
    if (std::find(words.begin(), words.end(), value) == words.end()) {
      const std::string guess = nearest(value, words);
      refuse(help, value,
             concat("one of ", join(words),
                    guess.empty() ? "" : concat("; did you mean '", guess, "'?")));
    }
    target = value;
  });
}

void Parser::integer(const OptionHelp& help, std::int64_t& target, IntegerRange range) {
  library_->add(help, with_default(help, std::to_string(target)),
                [help, range, &target](const std::string& value) {
                  target = checked_integer(help, value, range);
                });
}

void Parser::integer(const OptionHelp& help, std::optional<std::int64_t>& target,
                     IntegerRange range) {
  library_->add(help, help.description, [help, range, &target](const std::string& value) {
    target = checked_integer(help, value, range);
  });
}

void Parser::unsigned_integer(const OptionHelp& help, std::uint64_t& target) {
  library_->add(help, with_default(help, std::to_string(target)),
                [help, &target](const std::string& value) {
                  // Reports hold signed numbers.
                  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
                  target = static_cast<std::uint64_t>(checked_integer(help, value, {0, kLargest}));
                });
}

void Parser::real(const OptionHelp& help, double& target, RealRange range) {
  library_->add(
      help, with_default(help, concat(target)), [help, range, &target](const std::string& value) {
        double number = 0.0;
        const bool right = parse_number(value, number) == std::errc() && std::isfinite(number) &&
                           number >= range.minimum &&
                           (range.open_maximum ? number < range.maximum : number <= range.maximum);
        if (!right) {
          refuse(help, value,
                 concat("a number from ", range.minimum, " to ", range.maximum,
                        range.open_maximum ? " (below it)" : ""));
        }
        target = number;
      });
}

void Parser::flag(const OptionHelp& help, bool& target) {
  const std::string name = shown_name(help.names);
  library_->flags.insert(name);
  library_->takers[name] = [help, &target](const std::string& value) {
    if (value != "true" && value != "false") refuse(help, value, "true or false");
    target = value == "true";
  };
  library_->app
      .add_flag_function(
          help.names,
          [this, name](std::int64_t count) {
            library_->typed.emplace_back(name, count > 0 ? "true" : "false");
          },
          help.description)
      ->group(library_->heading);
}

void Parser::options_file(const OptionHelp& help) {
  library_->file_option = shown_name(help.names);
  library_->add(help, help.description, [](const std::string&) {});
}

void Parser::alternatives(std::vector<std::string> names) {
  library_->alternatives.push_back(std::move(names));
}

void Parser::files(const OptionHelp& help, std::vector<std::string>& target) {
  library_->app.add_option(help.names, target, help.description)
      ->type_name(help.value)
      ->group(library_->heading);
}

void Parser::preset(OptionSource source) {
  library_->sources.insert(library_->sources.begin(), std::move(source));
}

std::vector<std::string> Parser::names() const {
  std::vector<std::string> names;
  for (const auto& taker : library_->takers) names.push_back(taker.first.substr(2));
  return names;
}

std::set<std::string> Parser::flags() const {
  std::set<std::string> names;
  for (const std::string& name : library_->flags) names.insert(name.substr(2));
  return names;
}

std::vector<GivenOption> Parser::given() const {
  std::vector<GivenOption> options;
  for (const auto& option : library_->given) options.push_back(option.second);
  return options;
}

std::optional<std::string> Parser::parse(std::vector<std::string> arguments) {
  // The library takes them last first.
  std::reverse(arguments.begin(), arguments.end());
  CLI::App& app = library_->app;
  app.allow_extras();
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return without_double_blanks(app.help());
  } catch (const CLI::CallForVersion& answer) {
    return std::string(answer.what()) + "\n";
  } catch (const CLI::ArgumentMismatch& error) {
    throw UsageError(mismatch_sentence(error.what()));
  } catch (const CLI::ParseError& error) {
    throw UsageError(concat(error.what(), "; see --help"));
  }
  if (app.remaining_size() > 0) {
    throw UsageError(library_->unknown_option(app.remaining().front()));
  }
  library_->take_all();
  return std::nullopt;
}

}  // namespace sbp::cli
