// Which build this is. Compiled into one small object, so that a commit rebuilds one file.
#pragma once

namespace sbp {

// "0.1.0".
const char* version() noexcept;

// The first 12 digits of the commit it was built from, with `+` behind when tracked files
// differed from it; "unknown" outside a repository.
const char* git_commit() noexcept;

}  // namespace sbp
