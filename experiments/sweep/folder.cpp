#include "experiments/sweep/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "reports/format.h"
#include "reports/json.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "sbp/base/whole_file.h"

namespace sbp::sweep {
namespace {

namespace files = std::filesystem;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) throw Error(concat("cannot read '", path, "'"));
  return text;
}

// Names in a folder, sorted; none where there is no such folder.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : files::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

void write_whole(const std::string& path, const std::string& text) {
  WholeFile file(path);
  file.write(text);
  file.commit(WholeFile::Existing::replace);
}

// "a, b, c and 7 more".
std::string some(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  if (names.size() <= kShown) return join(names);
  return concat(join(std::span(names).first(kShown)), " and ", names.size() - kShown, " more");
}

// Locks the open file. False when somebody else holds it.
bool take_lock(int number, const std::string& path) {
  if (::flock(number, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  throw Error(concat("cannot lock '", path, "': ", reason_of(errno)));
}

[[noreturn]] void refuse_second(const std::string& folder, int lock) {
  std::string holder(32, '\0');
  const ssize_t count = ::pread(lock, holder.data(), holder.size(), 0);
  holder.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  holder = holder.substr(0, holder.find('\n'));
  throw Error(concat("another sweep runs in '", folder, "'",
                     holder.empty() ? "" : concat(" (process ", reports::printable(holder), ")"),
                     "; wait for it, or name another folder"));
}

std::string spelled(const std::vector<std::string>& values) {
  return join(values, "|");
}

// "batch was 8, is 16".
void tell_settings(const std::vector<Setting>& before, const std::vector<Setting>& now,
                   std::vector<std::string>& told) {
  const auto value_in = [](const std::vector<Setting>& settings, const std::string& name) {
    const auto found = std::ranges::find(settings, name, &Setting::first);
    return found == settings.end() ? std::string("not given") : "'" + found->second + "'";
  };
  std::set<std::string> names;
  for (const auto* settings : {&before, &now}) {
    for (const Setting& setting : *settings) names.insert(setting.first);
  }
  for (const std::string& name : names) {
    const std::string was = value_in(before, name);
    const std::string is = value_in(now, name);
    if (was != is) told.push_back(concat(name, " was ", was, ", is ", is));
  }
}

std::vector<Setting> axis_settings(const std::vector<reports::SweepAxis>& axes) {
  std::vector<Setting> settings;
  for (const auto& axis : axes) settings.emplace_back("axis " + axis.name, spelled(axis.values));
  return settings;
}

}  // namespace

void SweepFolder::check_free() const {
  const std::string path = path_ + "/lock";
  const Descriptor lock(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (lock.number() >= 0 && !take_lock(lock.number(), path)) refuse_second(path_, lock.number());
}

void SweepFolder::open() {
  make_folder(path_, "sweep folder");
  const std::string path = path_ + "/lock";
  lock_ = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (lock_.number() < 0) throw Error(concat("cannot write '", path, "': ", reason_of(errno)));
  if (!take_lock(lock_.number(), path)) refuse_second(path_, lock_.number());
  // For whoever is refused; a sweep does without.
  if (::ftruncate(lock_.number(), 0) == 0) {
    write_all(lock_.number(), std::to_string(::getpid()) + "\n");
  }
  for (const char* name : {"points", "failures", "running"}) {
    make_folder(path_ + "/" + name, "sweep folder");
  }
  for (const std::string& name : names_in(path_ + "/running")) discard(name);
  // Asides of a sweep that was killed while it wrote.
  for (const char* part : {"", "/failures"}) {
    for (const std::string& name : names_in(path_ + part)) {
      if (is_left_aside(name, "output")) ::unlink((path_ + part + "/" + name).c_str());
    }
  }
}

FolderContent SweepFolder::read(const CommandOptions& command, const Plan& plan,
                                Damaged damaged) const {
  FolderContent content;
  read_points(command, plan, damaged, content);
  read_failures(plan, damaged, content);
  read_seconds(content);
  read_plan(content);
  return content;
}

void SweepFolder::set_aside(const std::string& folder, const std::string& name) const {
  const std::string aside = path_ + "/aside";
  make_folder(aside, "sweep folder");
  std::string target = aside + "/" + name;
  for (int i = 2; files::exists(files::symlink_status(target)); ++i) {
    target = concat(aside, "/", name, ".", i);
  }
  move_whole(path_ + "/" + folder + "/" + name, target);
}

void SweepFolder::read_points(const CommandOptions& command, const Plan& plan, Damaged damaged,
                              FolderContent& content) const {
  std::map<std::string, const PlannedPoint*> points;
  for (const PlannedPoint& point : plan.points) points[point.id + ".json"] = &point;
  std::vector<std::string> strangers;
  for (const std::string& name : names_in(path_ + "/points")) {
    const auto found = points.find(name);
    if (found == points.end()) {
      strangers.push_back(reports::printable(name));
      continue;
    }
    const PlannedPoint& point = *found->second;
    try {
      const std::string file = point_file(point.id);
      const reports::AnyReport report = reports::parse_report(read_text(file), file);
      content.finished[point.id] =
          facts_of(report, command.command, words_of(command, point.options));
    } catch (const Error& error) {
      const bool moves = damaged == Damaged::is_moved;
      if (moves) set_aside("points", name);
      content.warnings.push_back(
          concat("points/", name, " is no report of its point (", error.what(), "); ",
                 moves ? "it was moved to aside/ and the point is run again"
                       : "a sweep would move it to aside/ and run the point again"));
    }
  }
  if (strangers.empty()) return;
  content.warnings.push_back(concat("points/ holds ", strangers.size(),
                                    strangers.size() == 1 ? " file" : " files",
                                    " of no point of this plan, left alone: ", some(strangers)));
}

void SweepFolder::read_failures(const Plan& plan, Damaged damaged, FolderContent& content) const {
  for (const PlannedPoint& point : plan.points) {
    const std::string file = failure_file(point.id);
    if (!files::exists(file)) continue;
    if (content.finished.contains(point.id)) {
      if (damaged == Damaged::is_moved) ::unlink(file.c_str());  // retried, and killed just then
      continue;
    }
    try {
      content.failures[point.id] = reports::parse_failure(read_text(file), file);
    } catch (const Error& error) {
      if (damaged == Damaged::is_moved) set_aside("failures", point.id + ".json");
      content.warnings.push_back(concat("failures/", point.id, ".json is damaged (", error.what(),
                                        "); the point is run again"));
    }
  }
}

void SweepFolder::read_seconds(FolderContent& content) const {
  std::ifstream file(path_ + "/seconds.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string id;
    std::string number;
    double seconds = 0.0;
    // A line that a kill cut short is not one.
    if (words >> id >> number && parse_number(number, seconds) == std::errc() && seconds >= 0.0) {
      content.seconds[id] = seconds;
    }
  }
}

void SweepFolder::read_plan(FolderContent& content) const {
  const std::string file = path_ + "/plan.json";
  if (!files::exists(file)) return;
  try {
    content.plan = reports::parse_plan_record(read_text(file), file);
  } catch (const Error& error) {
    content.warnings.push_back(concat("plan.json is damaged (", error.what(),
                                      "); whether the plan changed cannot be told"));
  }
}

PointFacts SweepFolder::read_running(const std::string& id, const std::string& command,
                                     const std::vector<std::string>& words) const {
  const std::string file = running_file(id);
  return facts_of(reports::parse_report(read_text(file), file), command, words);
}

void SweepFolder::accept(const std::string& id, double seconds) const {
  move_whole(running_file(id), point_file(id));
  ::unlink(failure_file(id).c_str());
  // How long it took is worth no finished point: without its line it is not known.
  const std::string times = path_ + "/seconds.txt";
  const Descriptor file(::open(times.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  // A line that was cut short ends here.
  if (file.number() >= 0) {
    write_all(file.number(), concat("\n", id, " ", exact_text(seconds), "\n"));
  }
}

void SweepFolder::discard(const std::string& id) const {
  ::unlink(running_file(id).c_str());
}

void SweepFolder::write_failure(const reports::PointFailure& failure) const {
  write_whole(failure_file(failure.id), reports::to_json(failure));
}

void SweepFolder::write_plan(const reports::SweepPlanRecord& record) const {
  write_whole(path_ + "/plan.json", reports::to_json(record));
}

void SweepFolder::write_report(const reports::SweepReport& report) const {
  write_whole(report_file(), reports::to_json(report));
}

std::string plan_change(const reports::SweepPlanRecord& before,
                        const reports::SweepPlanRecord& now) {
  std::vector<std::string> told;
  if (before.command != now.command) {
    told.push_back(concat("command was '", before.command, "', is '", now.command, "'"));
  }
  tell_settings(before.base, now.base, told);
  tell_settings(axis_settings(before.axes), axis_settings(now.axes), told);
  if (before.exclude != now.exclude) told.emplace_back("other points are excluded");
  if (before.equal_peak != now.equal_peak) {
    told.emplace_back(now.equal_peak ? "peaks are made equal now" : "peaks are not made equal now");
  }
  const std::set<std::string> ids(now.points.begin(), now.points.end());
  const auto gone = std::ranges::count_if(before.points,
                                          [&](const std::string& id) { return !ids.contains(id); });
  if (told.empty() && gone == 0) return "";
  if (told.empty()) told.emplace_back("points have other options");
  return concat("the plan is not the one that this folder was last used with: ", join(told, "; "),
                "; ", gone, " of its ", before.points.size(), " points are not in it now");
}

}  // namespace sbp::sweep
