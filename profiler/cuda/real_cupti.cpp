// CUPTI itself. Compiled where its headers are; see absent_cupti.cpp.
//
// The library is opened by name at run time, not linked: in a program with LibTorch that finds the
// one which libtorch_cpu.so brought along, and a machine without it still runs everything else.
#include <cupti.h>
#include <dlfcn.h>

#include <array>
#include <atomic>

#include "profiler/cuda/cupti_api.h"
#include "sbp/base/error.h"

namespace sbp::profiler {
namespace {

constexpr auto kOurs = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM2;
static_assert(kOurs == kOurExternalKind);
static_assert(kCuptiNotInitialized == CUPTI_ERROR_NOT_INITIALIZED);
static_assert(kCuptiNotPermitted == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES);
static_assert(kCuptiHasSubscriber == CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
static_assert(kCuptiUnknown == CUPTI_ERROR_UNKNOWN);
static_assert(
    kDriverAllocations ==
    std::array<std::uint32_t, 14>{
        CUPTI_DRIVER_TRACE_CBID_cuMemAlloc_v2, CUPTI_DRIVER_TRACE_CBID_cuMemAllocPitch_v2,
        CUPTI_DRIVER_TRACE_CBID_cuMemAllocManaged, CUPTI_DRIVER_TRACE_CBID_cuMemCreate,
        CUPTI_DRIVER_TRACE_CBID_cuMemAllocAsync, CUPTI_DRIVER_TRACE_CBID_cuMemAllocAsync_ptsz,
        CUPTI_DRIVER_TRACE_CBID_cuMemAllocFromPoolAsync,
        CUPTI_DRIVER_TRACE_CBID_cuMemAllocFromPoolAsync_ptsz, CUPTI_DRIVER_TRACE_CBID_cuModuleLoad,
        CUPTI_DRIVER_TRACE_CBID_cuModuleLoadData, CUPTI_DRIVER_TRACE_CBID_cuModuleLoadDataEx,
        CUPTI_DRIVER_TRACE_CBID_cuModuleLoadFatBinary, CUPTI_DRIVER_TRACE_CBID_cuLibraryLoadData,
        CUPTI_DRIVER_TRACE_CBID_cuLibraryLoadFromFile});

// The functions as the header declares them, found by name.
struct Functions {
  decltype(&cuptiGetVersion) get_version;
  decltype(&cuptiSubscribe_v2) subscribe;
  decltype(&cuptiUnsubscribe) unsubscribe;
  decltype(&cuptiActivityRegisterTimestampCallback) register_clock;
  decltype(&cuptiActivityRegisterCallbacks) register_buffers;
  decltype(&cuptiActivityEnable) enable;
  decltype(&cuptiActivityDisable) disable;
  decltype(&cuptiActivityEnableDriverApi) record_driver_call;
  decltype(&cuptiActivityEnableAllocationSource) track_sources;
  decltype(&cuptiActivityFlushAll) flush;
  decltype(&cuptiActivityGetNumDroppedRecords) dropped_records;
  decltype(&cuptiActivityPushExternalCorrelationId) push;
  decltype(&cuptiActivityPopExternalCorrelationId) pop;
  decltype(&cuptiGetTimestamp) timestamp;
  decltype(&cuptiGetErrorMessage) message;
};

// CUPTI's callbacks have no data of the user's, and types of their own.
std::atomic<CuptiApi::RequestBuffer> request_buffer{nullptr};
std::atomic<CuptiApi::CompleteBuffer> complete_buffer{nullptr};

void CUPTIAPI on_request(std::uint8_t** buffer, std::size_t* bytes, std::size_t* most_records) {
  request_buffer.load()(buffer, bytes, most_records);
}

void CUPTIAPI on_complete(CUcontext context, std::uint32_t stream, std::uint8_t* buffer,
                          std::size_t bytes, std::size_t valid_bytes) {
  complete_buffer.load()(context, stream, buffer, bytes, valid_bytes);
}

// No API callback is ever enabled; a subscription needs one all the same.
void CUPTIAPI on_api_call(void*, CUpti_CallbackDomain, CUpti_CallbackId, const void*) {}

CUpti_ActivityKind as_cupti(ActivityKind kind) {
  return static_cast<CUpti_ActivityKind>(kind);
}

class RealCupti final : public CuptiApi {
 public:
  explicit RealCupti(const Functions& functions) : call_(functions) {}

  std::uint32_t header_version() const noexcept override { return CUPTI_API_VERSION; }
  CuptiStatus version(std::uint32_t& version) override { return call_.get_version(&version); }

  CuptiStatus subscribe(std::string& holder) override {
    std::array<char, 2 * CUPTI_OLD_SUBSCRIBER_NAME_MIN_LEN> name{};
    CUpti_SubscriberParams params{.structSize = CUpti_SubscriberParams_STRUCT_SIZE,
                                  .subscriberName = "sbp",
                                  .oldSubscriberName = name.data(),
                                  .oldSubscriberSize = name.size() - 1};
    const CuptiStatus status = call_.subscribe(&subscriber_, &on_api_call, nullptr, &params);
    holder = name.data();
    return status;
  }
  CuptiStatus unsubscribe() override { return call_.unsubscribe(subscriber_); }

  CuptiStatus register_clock(Clock clock) override { return call_.register_clock(clock); }
  CuptiStatus register_buffers(RequestBuffer request, CompleteBuffer complete) override {
    request_buffer = request;
    complete_buffer = complete;
    return call_.register_buffers(&on_request, &on_complete);
  }

  CuptiStatus enable(ActivityKind kind) override { return call_.enable(as_cupti(kind)); }
  CuptiStatus disable(ActivityKind kind) override { return call_.disable(as_cupti(kind)); }
  CuptiStatus record_driver_call(std::uint32_t callback_id, bool on) override {
    return call_.record_driver_call(callback_id, on ? 1 : 0);
  }
  CuptiStatus track_sources(bool on) override { return call_.track_sources(on ? 1 : 0); }
  CuptiStatus flush() override { return call_.flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED); }
  CuptiStatus dropped_records(void* context, std::uint32_t stream, std::size_t& records) override {
    return call_.dropped_records(static_cast<CUcontext>(context), stream, &records);
  }

  CuptiStatus push_external_id(std::uint64_t id) override { return call_.push(kOurs, id); }
  CuptiStatus pop_external_id() override {
    std::uint64_t last = 0;
    return call_.pop(kOurs, &last);
  }
  CuptiStatus timestamp(std::uint64_t& ns) override { return call_.timestamp(&ns); }

  std::string describe(CuptiStatus status) override {
    const char* text = nullptr;
    const CuptiStatus told = call_.message(static_cast<CUptiResult>(status), &text);
    return told == kCuptiSuccess && text != nullptr ? text : concat("status ", status);
  }

 private:
  Functions call_;
  CUpti_SubscriberHandle subscriber_ = nullptr;
};

// Finds functions by name and remembers the first that is missing.
class Finder {
 public:
  explicit Finder(void* library) : library_(library) {}

  template <typename Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    if (function == nullptr && missing_ == nullptr) missing_ = name;
  }
  const char* missing() const { return missing_; }

 private:
  void* library_;
  const char* missing_ = nullptr;
};

}  // namespace

LoadedCupti load_cupti(const char* library) {
  void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);  // stays open: it may call us any time
  if (handle == nullptr) {
    return {.api = nullptr, .reason = concat("the library '", library, "' cannot be loaded")};
  }
  Functions functions{};
  Finder finder(handle);
  finder.find(functions.get_version, "cuptiGetVersion");
  finder.find(functions.subscribe, "cuptiSubscribe_v2");
  finder.find(functions.unsubscribe, "cuptiUnsubscribe");
  finder.find(functions.register_clock, "cuptiActivityRegisterTimestampCallback");
  finder.find(functions.register_buffers, "cuptiActivityRegisterCallbacks");
  finder.find(functions.enable, "cuptiActivityEnable");
  finder.find(functions.disable, "cuptiActivityDisable");
  finder.find(functions.record_driver_call, "cuptiActivityEnableDriverApi");
  finder.find(functions.track_sources, "cuptiActivityEnableAllocationSource");
  finder.find(functions.flush, "cuptiActivityFlushAll");
  finder.find(functions.dropped_records, "cuptiActivityGetNumDroppedRecords");
  finder.find(functions.push, "cuptiActivityPushExternalCorrelationId");
  finder.find(functions.pop, "cuptiActivityPopExternalCorrelationId");
  finder.find(functions.timestamp, "cuptiGetTimestamp");
  finder.find(functions.message, "cuptiGetErrorMessage");
  if (finder.missing() != nullptr) {
    return {.api = nullptr,
            .reason = concat("the library '", library, "' has no ", finder.missing())};
  }
  return {.api = std::make_unique<RealCupti>(functions), .reason = {}};
}

}  // namespace sbp::profiler
