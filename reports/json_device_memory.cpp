#include "reports/json_device_memory.h"

#include "reports/json_allocator_log.h"

namespace sbp::reports {
namespace {

constexpr std::string_view kNotKept = "not kept; sbp-profile --blocks keeps them";

Json unseen_json(const UnseenMemory& unseen) {
  Json object = Json::object();
  object["kind"] = unseen.kind;
  object["layer"] = unseen.layer;
  object["name"] = unseen.name;
  object["bytes"] = unseen.bytes;
  object["count"] = unseen.count;
  return object;
}

UnseenMemory read_unseen(const Node& node) {
  return {.kind = node["kind"].text(),
          .layer = node["layer"].text(),
          .name = node["name"].text(),
          .bytes = node["bytes"].integer(),
          .count = node["count"].integer()};
}

std::int64_t read_bytes(const Node& node) {
  return node.integer();
}

}  // namespace

Json device_memory_json(const DeviceMemory& memory) {
  Json object = Json::object();
  object["requested_bytes"] = memory.requested_bytes;
  object["rounding_bytes"] = memory.rounding_bytes;
  object["awaiting_bytes"] = memory.awaiting_bytes;
  object["cached_bytes"] = memory.cached_bytes;
  object["reserved_bytes"] = memory.reserved_bytes;
  object["unseen_bytes"] = memory.unseen_bytes;
  object["peak_reserved_bytes"] = memory.peak_reserved_bytes;
  if (memory.nameless_bytes) {
    object["nameless_bytes"] = *memory.nameless_bytes;
  } else {
    set_unknown(object, "nameless_bytes", "the device could not be asked");
  }
  Json unseen = Json::array();
  for (const UnseenMemory& one : memory.unseen) unseen.push_back(unseen_json(one));
  object["unseen"] = std::move(unseen);
  if (memory.cupti_reason.empty()) {
    object["cupti"] = "ran";
  } else {
    set_unknown(object, "cupti", memory.cupti_reason);
  }
  object["balanced"] = memory.balanced;
  object["first_problem"] = memory.first_problem;
  if (memory.blocks) {
    object["blocks"] = allocator_log_json(*memory.blocks);
  } else {
    set_unknown(object, "blocks",
                memory.blocks_reason.empty() ? kNotKept : std::string_view(memory.blocks_reason));
  }
  return object;
}

DeviceMemory read_device_memory(const Node& node) {
  DeviceMemory memory;
  memory.requested_bytes = node["requested_bytes"].integer();
  memory.rounding_bytes = node["rounding_bytes"].integer();
  memory.awaiting_bytes = node["awaiting_bytes"].integer();
  memory.cached_bytes = node["cached_bytes"].integer();
  memory.reserved_bytes = node["reserved_bytes"].integer();
  memory.unseen_bytes = node["unseen_bytes"].integer();
  memory.peak_reserved_bytes = node["peak_reserved_bytes"].integer();
  memory.nameless_bytes = optional_part(node, "nameless_bytes", read_bytes);
  memory.unseen = list(node["unseen"], read_unseen);
  if (node["cupti"].is_null()) memory.cupti_reason = node["cupti_reason"].text();
  memory.balanced = node["balanced"].boolean();
  memory.first_problem = node["first_problem"].text();
  memory.blocks = later_part(node, "blocks", read_allocator_log);
  if (node.has("blocks_reason") && node["blocks_reason"].text() != kNotKept) {
    memory.blocks_reason = node["blocks_reason"].text();
  }
  return memory;
}

}  // namespace sbp::reports
