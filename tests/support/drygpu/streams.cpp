// Streams, events, captures and graphs.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>

#include "device.hpp"

namespace dry {

static std::set<Stream*> streams;  // those that were created
static Stream defaults[DEVICES] = {{0, true}, {1, true}};
static std::string error;  // the first of work that has been done

// Handles 0 to 2 are the default streams.
Stream& stream_of(intptr_t handle) {
  return handle <= 2 ? defaults[current] : *reinterpret_cast<Stream*>(handle);
}

// Do what is before a place among all that a stream is given.
static void work_off(Stream& stream, size_t place) {
  if (place <= stream.taken) return;
  const auto begin = stream.waiting.begin(), end = begin + (place - stream.taken);
  const std::vector<Work> now{std::move_iterator{begin}, std::move_iterator{end}};
  stream.waiting.erase(begin, end);
  stream.taken = place;
  for (auto& work : now) {
    const std::string failure = work();
    if (error.empty()) error = failure;
  }
}

static void work_off(Stream& stream) { work_off(stream, stream.end()); }

// What the default stream of a device and its blocking streams do is in order.
static void work_off_before(Stream& stream) {
  Stream& standard = defaults[stream.device];
  if (!stream.blocking) return;
  if (&stream != &standard) return work_off(standard);
  for (Stream* other : streams)
    if (other->blocking && other->device == stream.device) work_off(*other);
}

void finish(Stream& stream) {
  work_off_before(stream);
  work_off(stream);
}

void finish_all() {
  for (Stream& stream : defaults) finish(stream);
  for (Stream* stream : streams) work_off(*stream);
}

bool raise_errors() { return error.empty() || fault(std::exchange(error, {})); }

bool capturing(intptr_t handle) {
  Stream& stream = stream_of(handle);
  if (handle > 2) return stream.recording;
  return std::any_of(streams.begin(), streams.end(),
                     [](Stream* s) { return s->blocking && s->recording; });
}

bool perform(intptr_t handle, const Work& work) {
  Stream& stream = stream_of(handle);
  if (handle > 2 && stream.device != current) return runtime_error(INVALID_HANDLE);
  if (handle <= 2 && capturing(handle)) return runtime_error(CAPTURE_IMPLICIT);
  if (stream.recording) {
    stream.recording->nodes.push_back(work);
  } else {
    work_off_before(stream);
    stream.waiting.push_back(work);
  }
  return true;
}

static bool may_wait(Stream& stream) {
  if (stream.recording) {
    stream.recording->valid = false;
    return runtime_error(CAPTURE_UNSUPPORTED);
  }
  counts.waits++;
  return true;
}
static bool wait(Stream& stream) {
  if (!may_wait(stream)) return false;
  finish(stream);
  return raise_errors();
}

struct Event {
  Stream* stream = nullptr;
  size_t place = 0;  // in the stream: what is given to it later is not waited for
  double milliseconds = 0;
};

static Event& event_of(intptr_t handle) { return *reinterpret_cast<Event*>(handle); }
static intptr_t make_stream(bool blocking) {
  auto stream = new Stream{current, blocking};
  streams.insert(stream);
  return reinterpret_cast<intptr_t>(stream);
}

}  // namespace dry

using namespace dry;

extern "C" {

// ------------------------------------------------------------------ streams
intptr_t cuda_streamCreate(int) { return make_stream(true); }
intptr_t cuda_streamCreateWithFlags(unsigned flags, int) { return make_stream(!flags); }
intptr_t cuda_streamCreateWithPriority(unsigned flags, int, int) {
  return make_stream(!flags);
}
Object* cuda_streamDestroy(intptr_t handle, int) {
  Stream* stream = &stream_of(handle);
  finish(*stream);
  streams.erase(stream);  // not deleted: an event may still name it
  return none();
}
Object* cuda_streamSynchronize(intptr_t handle, int) {
  return done(wait(stream_of(handle)));
}
Object* cuda_deviceSynchronize(int) {
  for (Stream* stream : streams)
    if (stream->recording) return done(wait(*stream));
  finish_all();
  return done(wait(stream_of(0)));
}
Object* cuda_streamQuery(intptr_t handle, int) {
  return Py_BuildValue("i", stream_of(handle).waiting.empty() ? 0 : NOT_READY);
}
unsigned cuda_streamGetFlags(intptr_t handle, int) {
  return !stream_of(handle).blocking;
}
int cuda_streamGetPriority(intptr_t, int) { return 0; }

// ------------------------------------------------------------------- events
intptr_t cuda_eventCreate(int) { return reinterpret_cast<intptr_t>(new Event); }
intptr_t cuda_eventCreateWithFlags(unsigned, int) { return cuda_eventCreate(0); }
Object* cuda_eventDestroy(intptr_t event, int) {
  delete &event_of(event);
  return none();
}
Object* cuda_eventRecord(intptr_t event, intptr_t stream, int) {
  using namespace std::chrono;
  const duration<double, std::milli> now = steady_clock::now().time_since_epoch();
  work_off_before(stream_of(stream));  // as before any other work
  event_of(event) = {&stream_of(stream), stream_of(stream).end(), now.count()};
  return none();
}
Object* cuda_streamWaitEvent(intptr_t, intptr_t event, int, void*) {
  const Event& that = event_of(event);
  if (that.stream) work_off(*that.stream, that.place);
  return none();
}
Object* cuda_eventSynchronize(intptr_t event, int) {
  const Event& that = event_of(event);
  if (!that.stream) return none();
  if (!may_wait(*that.stream)) return nullptr;
  work_off(*that.stream, that.place);
  return done(raise_errors());
}
Object* cuda_eventQuery(intptr_t event, int) {
  const Event& that = event_of(event);
  const bool finished = !that.stream || that.place <= that.stream->taken;
  return Py_BuildValue("i", finished ? 0 : NOT_READY);
}
float cuda_eventElapsedTime(intptr_t start, intptr_t end, int) {
  return float(event_of(end).milliseconds - event_of(start).milliseconds);
}

// ------------------------------------------------------- captures and graphs
Object* cuda_streamBeginCapture(intptr_t handle, int, void*) {
  if (handle <= 2) return done(runtime_error(CAPTURE_UNSUPPORTED));
  Stream& stream = stream_of(handle);
  if (stream.recording) return done(runtime_error(ILLEGAL_STATE));
  stream.recording = new Recording;
  return none();
}
intptr_t cuda_streamEndCapture(intptr_t handle, int) {
  Stream& stream = stream_of(handle);
  std::shared_ptr<Recording> recording(std::exchange(stream.recording, nullptr));
  if (!recording) return runtime_error(ILLEGAL_STATE);
  if (!recording->valid) return runtime_error(CAPTURE_INVALIDATED);
  return reinterpret_cast<intptr_t>(new std::shared_ptr<Recording>(recording));
}
int cuda_streamIsCapturing(intptr_t handle, int) {
  return handle > 2 && stream_of(handle).recording;
}
// A graph, and one that can be launched: work that waits may hold it longer.
using Graph = std::shared_ptr<Recording>;
static Graph& graph_of(intptr_t handle) { return *reinterpret_cast<Graph*>(handle); }
intptr_t cuda_graphInstantiate(intptr_t graph, int) {
  return reinterpret_cast<intptr_t>(new Graph(graph_of(graph)));
}
Object* cuda_graphDestroy(intptr_t graph, int) {
  delete &graph_of(graph);
  return none();
}
Object* cuda_graphExecDestroy(intptr_t graph, int) {
  return cuda_graphDestroy(graph, 0);
}
Object* cuda_graphUpload(intptr_t, intptr_t, int) { return none(); }
Object* cuda_graphLaunch(intptr_t handle, intptr_t stream, int) {
  const Graph graph = graph_of(handle);
  counts.graph_launches++;
  counts.graph_nodes += long(graph->nodes.size());
  return done(perform(stream, [graph] {
    std::string failure;
    for (auto& node : graph->nodes)
      if ((failure = node()).size()) break;
    return failure;
  }));
}
}
