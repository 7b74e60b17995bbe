// Streams, events, captures and graphs.
//
// Work is done at once, in the order of its calls: only copies from the host are late.
#include <algorithm>
#include <chrono>
#include <set>

#include "device.hpp"

namespace dry {

static std::set<Stream*> streams;  // those that were created
static Stream defaults[DEVICES] = {{0, true}, {1, true}};
static std::set<Recording*> relaxed;  // captures beside which memory may be allocated

// Handles 0 to 2 are the default streams.
Stream& stream_of(intptr_t handle) {
  return handle <= 2 ? defaults[current] : *reinterpret_cast<Stream*>(handle);
}

static void make_copies(Stream& stream) {
  auto late = std::move(stream.late);
  stream.late.clear();
  for (auto& copy : late) copy();
}

void catch_up(Stream& stream) {
  make_copies(stream);
  Stream& standard = defaults[stream.device];
  if (!stream.blocking) return;
  make_copies(standard);
  if (&stream == &standard)
    for (Stream* other : streams)
      if (other->blocking && other->device == stream.device) make_copies(*other);
}

void catch_up_all() {
  for (Stream& stream : defaults) make_copies(stream);
  for (Stream* stream : streams) make_copies(*stream);
}

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
  catch_up(stream);
  if (!stream.recording) return work();
  stream.recording->nodes.push_back(work);
  return true;
}

static bool wait(Stream& stream) {
  if (stream.recording) {
    stream.recording->valid = false;
    return runtime_error(CAPTURE_UNSUPPORTED);
  }
  counts.waits++;
  catch_up(stream);
  if (unread.empty()) return true;
  return fault(std::exchange(unread, {}));
}

struct Event {
  Stream* stream = nullptr;
  double milliseconds = 0;
};

static Event& event_of(intptr_t handle) { return *reinterpret_cast<Event*>(handle); }
static intptr_t make_stream(bool blocking) {
  return reinterpret_cast<intptr_t>(*streams.insert(new Stream{current, blocking}).first);
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
  catch_up(*stream);
  streams.erase(stream);  // not deleted: an event may still name it
  return none();
}
Object* cuda_streamSynchronize(intptr_t handle, int) {
  return done(wait(stream_of(handle)));
}
Object* cuda_deviceSynchronize(int) {
  for (Stream* stream : streams)
    if (stream->recording) return done(wait(*stream));
  catch_up_all();
  return done(wait(stream_of(0)));
}
Object* cuda_streamQuery(intptr_t handle, int) {
  return Py_BuildValue("i", stream_of(handle).late.empty() ? 0 : NOT_READY);
}
unsigned cuda_streamGetFlags(intptr_t handle, int) { return !stream_of(handle).blocking; }
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
  event_of(event) = {&stream_of(stream), now.count()};
  return none();
}
Object* cuda_streamWaitEvent(intptr_t, intptr_t event, int, void*) {
  if (event_of(event).stream) catch_up(*event_of(event).stream);
  return none();
}
Object* cuda_eventSynchronize(intptr_t event, int) {
  return done(!event_of(event).stream || wait(*event_of(event).stream));
}
Object* cuda_eventQuery(intptr_t event, int) {
  Stream* stream = event_of(event).stream;
  return Py_BuildValue("i", !stream || stream->late.empty() ? 0 : NOT_READY);
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
  Recording* recording = std::exchange(stream.recording, nullptr);
  if (!recording) return runtime_error(ILLEGAL_STATE);
  if (!recording->valid) return runtime_error(CAPTURE_INVALIDATED);
  return reinterpret_cast<intptr_t>(recording);
}
int cuda_streamIsCapturing(intptr_t handle, int) {
  return handle > 2 && stream_of(handle).recording;
}
intptr_t cuda_graphInstantiate(intptr_t graph, int) {
  return reinterpret_cast<intptr_t>(
      new Recording(*reinterpret_cast<Recording*>(graph)));
}
Object* cuda_graphDestroy(intptr_t graph, int) {
  delete reinterpret_cast<Recording*>(graph);
  return none();
}
Object* cuda_graphExecDestroy(intptr_t graph, int) { return cuda_graphDestroy(graph, 0); }
Object* cuda_graphUpload(intptr_t, intptr_t, int) { return none(); }
Object* cuda_graphLaunch(intptr_t graph, intptr_t stream, int) {
  auto& nodes = reinterpret_cast<Recording*>(graph)->nodes;
  counts.graph_launches++;
  counts.graph_nodes += long(nodes.size());
  return done(perform(stream, [&nodes] {
    for (auto& node : nodes)
      if (!node()) return false;
    return true;
  }));
}
}
