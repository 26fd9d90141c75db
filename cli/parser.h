// A command-line parser that speaks our sentences; hides the library behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sbp::cli {

// How an option is shown in --help.
struct OptionHelp {
  std::string names;        // "-o,--output"
  std::string value;        // "FILE"; empty for a flag
  std::string description;  // without the default, which is added
};

struct IntegerRange {
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;
};

struct RealRange {
  double minimum = 0.0;
  double maximum = 0.0;
  bool open_maximum = false;  // `maximum` itself is not allowed
};

// An option that was given, on the command line or in a file.
struct GivenOption {
  std::string name;  // long, without the dashes
  std::string value;
  bool is_flag = false;
  std::string file;  // that it stands in; empty: on the command line
};

// Options by long name without the dashes, as if in a file.
struct OptionSource {
  std::string shown;  // what errors call it: "config 'x.json'"
  std::vector<std::pair<std::string, std::string>> options;
};

// Targets hold their defaults when they are added, and must outlive the parse.
class Parser {
 public:
  // `examples`: what --help ends with.
  Parser(std::string program, const std::string& purpose, const std::string& examples);
  ~Parser();
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // Options added from here on stand under this heading of --help.
  void group(std::string heading);

  void text(const OptionHelp& help, std::string& target);
  // May be given many times, in the order of `target`; what is typed replaces what a file says.
  void texts(const OptionHelp& help, std::vector<std::string>& target);
  void choice(const OptionHelp& help, std::string& target, const std::vector<std::string>& words);
  void integer(const OptionHelp& help, std::int64_t& target, IntegerRange range);
  // No default is shown: it stands in the description.
  void integer(const OptionHelp& help, std::optional<std::int64_t>& target, IntegerRange range);
  void unsigned_integer(const OptionHelp& help, std::uint64_t& target);
  void real(const OptionHelp& help, double& target, RealRange range);
  void flag(const OptionHelp& help, bool& target);
  void files(const OptionHelp& help, std::vector<std::string>& target);
  // A file of options (see experiments/recipes/option_file.h). What stands on the command line wins
  // over what stands in the file.
  void options_file(const OptionHelp& help);
  // Of these options (long names, with dashes) one at most may be given. One on the command line
  // takes the place of another in the file.
  void alternatives(std::vector<std::string> names);
  // Options that both the file of options and the command line win over.
  void preset(OptionSource source);
  // Long names of all options added so far, without the dashes.
  std::vector<std::string> names() const;
  // The same of those that take no value.
  std::set<std::string> flags() const;

  // The text of --help or --version if one was asked for. Throws UsageError.
  std::optional<std::string> parse(std::vector<std::string> arguments);
  // After parse: what was given and not overruled, by name; those of texts() and files() are left
  // out.
  std::vector<GivenOption> given() const;

 private:
  class Library;
  std::unique_ptr<Library> library_;
};

}  // namespace sbp::cli
