#include "caffe_acu/fuzz/libfuzzer/mutator.hpp"

#include <google/protobuf/descriptor.h>

#include <climits>
#include <cmath>

// libFuzzer's own changes of bytes.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace caffe {
namespace fuzz {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kGrowth = 64;       // bytes by which a text may become longer
constexpr size_t kMostWords = 1000;  // taken from a message

const int64_t kNumbers[] = {0,   1,     2,       3,          4,       5,       6,        7,         8,       16,
                            64,  255,   1000,    32767,      32768,   65535,   65536,    1 << 24,   INT_MAX, INT_MIN,
                            -1,  -2,    1 << 20, UINT_MAX,   1 << 30, INT_MAX - 1, (1LL << 32) + 1, LLONG_MAX, LLONG_MIN};

}  // namespace

int64_t Mutator::Number(int64_t now) {
  switch (Below(4)) {
    case 0: return static_cast<int64_t>(static_cast<uint64_t>(now) + 1);
    case 1: return static_cast<int64_t>(static_cast<uint64_t>(now) - 1);
    case 2: return Below(10);
    default: return kNumbers[Below(std::size(kNumbers))];
  }
}

double Mutator::Real(double now) {
  const double values[] = {0,    1,    -1,  0.5,  now * 2, now / 2, -now, now + 1, 1e3, 1e-3, 1e9, -1e9, 1e20, 1e38, -1e38,
                           2147483647., -2147483649., 1e-40, INFINITY, -INFINITY, NAN};
  return values[Below(std::size(values))];
}

std::string Mutator::Text(std::string now) {
  if (!words_.empty() && !OneOf(4)) return words_[Below(words_.size())];
  const size_t size = now.size();
  now.resize(size + kGrowth);
  now.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(&now[0]), size, now.size()));
  return now;
}

// What other fields have, so that names meet.
void Mutator::KeepWords(const Message& message) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const Field*> fields;
  reflection.ListFields(message, &fields);
  for (const Field* field : fields) {
    const bool repeated = field->is_repeated();
    for (int i = 0; i < (repeated ? reflection.FieldSize(message, field) : 1) && words_.size() < kMostWords; ++i) {
      if (field->type() == Field::TYPE_STRING) {
        words_.push_back(repeated ? reflection.GetRepeatedString(message, field, i)
                                  : reflection.GetString(message, field));
      } else if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
        KeepWords(repeated ? reflection.GetRepeatedMessage(message, field, i) : reflection.GetMessage(message, field));
      }
    }
  }
}

void Mutator::Mutate(Message* message) {
  if (words_.size() < kMostWords) KeepWords(*message);
  const Reflection& reflection = *message->GetReflection();
  std::vector<const Field*> there;
  reflection.ListFields(*message, &there);
  // A field that is there, mostly; of messages within, mostly one of theirs.
  const google::protobuf::Descriptor& type = *message->GetDescriptor();
  const Field* field = there.empty() || OneOf(6) ? type.field(Below(type.field_count())) : there[Below(there.size())];
  const bool repeated = field->is_repeated();
  const int size = repeated ? reflection.FieldSize(*message, field) : reflection.HasField(*message, field);
  if (size == 0) return Add(message, field);
  if (field->cpp_type() == Field::CPPTYPE_MESSAGE && !OneOf(8)) {
    return Mutate(repeated ? reflection.MutableRepeatedMessage(message, field, Below(size))
                           : reflection.MutableMessage(message, field));
  }
  if (repeated && OneOf(2)) return ChangeRepeated(message, field);
  if (OneOf(8)) return reflection.ClearField(message, field);
  if (field->cpp_type() != Field::CPPTYPE_MESSAGE) Change(message, field, repeated ? Below(size) : -1);
}

void Mutator::ChangeRepeated(Message* message, const Field* field) {
  const Reflection& reflection = *message->GetReflection();
  const int size = reflection.FieldSize(*message, field);
  switch (Below(4)) {
    case 0: return Add(message, field);
    case 1: return reflection.SwapElements(message, field, Below(size), Below(size));
    case 2:
      reflection.SwapElements(message, field, Below(size), size - 1);
      return reflection.RemoveLast(message, field);
    default:
      if (field->cpp_type() != Field::CPPTYPE_MESSAGE) return Add(message, field);
      // The same twice, which is then changed.
      const int copied = Below(size);
      Message* copy = reflection.AddMessage(message, field);
      copy->CopyFrom(reflection.GetRepeatedMessage(*message, field, copied));
      Mutate(copy);
  }
}

void Mutator::Add(Message* message, const Field* field) {
  const Reflection& reflection = *message->GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case Field::CPPTYPE_MESSAGE:
      Mutate(repeated ? reflection.AddMessage(message, field) : reflection.MutableMessage(message, field));
      return;
    case Field::CPPTYPE_INT32: if (repeated) reflection.AddInt32(message, field, 1); break;
    case Field::CPPTYPE_UINT32: if (repeated) reflection.AddUInt32(message, field, 1); break;
    case Field::CPPTYPE_INT64: if (repeated) reflection.AddInt64(message, field, 1); break;
    case Field::CPPTYPE_UINT64: if (repeated) reflection.AddUInt64(message, field, 1); break;
    case Field::CPPTYPE_FLOAT: if (repeated) reflection.AddFloat(message, field, 1); break;
    case Field::CPPTYPE_DOUBLE: if (repeated) reflection.AddDouble(message, field, 1); break;
    case Field::CPPTYPE_BOOL: if (repeated) reflection.AddBool(message, field, true); break;
    case Field::CPPTYPE_ENUM: if (repeated) reflection.AddEnum(message, field, field->enum_type()->value(0)); break;
    case Field::CPPTYPE_STRING: if (repeated) reflection.AddString(message, field, ""); break;
  }
  Change(message, field, repeated ? reflection.FieldSize(*message, field) - 1 : -1);
}

void Mutator::Change(Message* message, const Field* field, int index) {
  const Reflection& reflection = *message->GetReflection();
#define CAFFE_ACU_CHANGE(Type, Changed)                                                                        \
  if (index < 0) {                                                                                             \
    reflection.Set##Type(message, field, Changed(reflection.Get##Type(*message, field)));                      \
  } else {                                                                                                     \
    reflection.SetRepeated##Type(message, field, index, Changed(reflection.GetRepeated##Type(*message, field, index))); \
  }                                                                                                            \
  break
  const auto other = [](bool now) { return !now; };
  const auto value = [&](const google::protobuf::EnumValueDescriptor* now) {
    return now->type()->value(Below(now->type()->value_count()));
  };
  // What does not fit into the field is cut off.
  const auto narrow32 = [&](int32_t now) { return static_cast<int32_t>(Number(now)); };
  const auto narrowU32 = [&](uint32_t now) { return static_cast<uint32_t>(Number(now)); };
  const auto unsigned64 = [&](uint64_t now) { return static_cast<uint64_t>(Number(static_cast<int64_t>(now))); };
  const auto narrow_real = [&](float now) {
    const double real = Real(now);
    return std::abs(real) > 3e38 ? std::copysign(INFINITY, static_cast<float>(real > 0) - 0.5f) : static_cast<float>(real);
  };
  switch (field->cpp_type()) {
    case Field::CPPTYPE_INT32: CAFFE_ACU_CHANGE(Int32, narrow32);
    case Field::CPPTYPE_UINT32: CAFFE_ACU_CHANGE(UInt32, narrowU32);
    case Field::CPPTYPE_INT64: CAFFE_ACU_CHANGE(Int64, Number);
    case Field::CPPTYPE_UINT64: CAFFE_ACU_CHANGE(UInt64, unsigned64);
    case Field::CPPTYPE_FLOAT: CAFFE_ACU_CHANGE(Float, narrow_real);
    case Field::CPPTYPE_DOUBLE: CAFFE_ACU_CHANGE(Double, Real);
    case Field::CPPTYPE_BOOL: CAFFE_ACU_CHANGE(Bool, other);
    case Field::CPPTYPE_ENUM: CAFFE_ACU_CHANGE(Enum, value);
    case Field::CPPTYPE_STRING: CAFFE_ACU_CHANGE(String, Text);
    case Field::CPPTYPE_MESSAGE: break;
  }
#undef CAFFE_ACU_CHANGE
}

}  // namespace fuzz
}  // namespace caffe
