// The members of upstream's classes that patches 0005, 0011 and 0014 declare or leave out.
#include "caffe/layers/data_layer.hpp"

#include "caffe/util/db_lmdb.hpp"

namespace caffe {

template <typename Dtype>
DataTransformer<Dtype>::DataTransformer(const DataTransformer& other)
    : param_(other.param_), rng_(other.rng_), phase_(other.phase_), mean_values_(other.mean_values_) {
  if (!param_.has_mean_file()) return;
  data_mean_.ReshapeLike(other.data_mean_);
  // Only read, but through a pointer that need not say so.
  data_mean_.set_cpu_data(const_cast<Dtype*>(other.data_mean_.cpu_data()));
}

template <typename Dtype>
Record DataLayer<Dtype>::CurrentRecord() {
  if (shuffled_) return shuffled_->record();
  Record record = static_cast<db::LMDBCursor*>(cursor_.get())->record();
  // Of its place alone: no thread has a say, and whoever reads on from here gets the same.
  record.seed = RecordSeed(seed_, offset_ >> 32, static_cast<uint32_t>(offset_));
  return record;
}

template <typename Dtype>
std::vector<int> DataLayer<Dtype>::InferShape() {
  read_ahead_.reset(new ReadAhead(this->layer_param_.data_param()));
  loader_.reset(new BatchLoader<Dtype>(this->layer_param_, *this->data_transformer_));
  seed_ = this->data_transformer_->DrawSeed();
  return loader_->Shape(CurrentRecord());
}

// Called on the prefetch thread.
template <typename Dtype>
void DataLayer<Dtype>::load_batch(Batch<Dtype>* batch) {
  while (read_ahead_->WantsMore()) {
    while (Skip()) Next();
    read_ahead_->Add(CurrentRecord());
    Next();
  }
  loader_->Load(read_ahead_->Take(), &batch->data_, this->output_labels_ ? &batch->label_ : nullptr);
}

template <typename Dtype>
void DataLayer<Dtype>::SavePlace(DataState* place) const {
  const uint64_t solvers = this->phase_ == TEST ? shares_ : Caffe::solver_count();
  const uint64_t batch = this->layer_param_.data_param().batch_size();
  place->set_records(first_record_ + this->batches_taken_ * batch * solvers);
  place->set_seed(seed_);
}

template <typename Dtype>
void DataLayer<Dtype>::ReadOnFrom(const DataState& place) {
  this->StopInternalThread();
  // All batches but the one that the net still looks at are free again.
  Batch<Dtype>* batch;
  while (this->prefetch_full_.try_pop(&batch) || this->prefetch_free_.try_pop(&batch)) {}
  for (const auto& each : this->prefetch_) {
    if (each.get() != this->prefetch_current_) this->prefetch_free_.push(each.get());
  }
  read_ahead_.reset(new ReadAhead(this->layer_param_.data_param()));
  this->batches_taken_ = 0;
  first_record_ = offset_ = place.records();
  if (place.seed()) seed_ = place.seed();  // 0: it was trained without random crops until now
  if (shuffled_) {
    shuffled_->Seek(offset_);
  } else {
    static_cast<db::LMDBCursor*>(cursor_.get())->Seek(offset_);
  }
  this->StartInternalThread();
}

template <typename Dtype>
void DataLayer<Dtype>::ShareBatches(int share, int shares) {
  this->StopInternalThread();
  DataState place;
  SavePlace(&place);
  share_ = share;
  shares_ = shares;
  ReadOnFrom(place);
}

template <typename Dtype>
bool DataLayer<Dtype>::OfOthers() const {
  const uint64_t batch = (offset_ - first_record_) / this->layer_param_.data_param().batch_size();
  return batch % shares_ != static_cast<uint64_t>(share_);
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                       \
  template DataTransformer<Dtype>::DataTransformer(const DataTransformer&); \
  template Record DataLayer<Dtype>::CurrentRecord();                       \
  template void DataLayer<Dtype>::SavePlace(DataState* place) const;       \
  template void DataLayer<Dtype>::ReadOnFrom(const DataState& place);      \
  template void DataLayer<Dtype>::ShareBatches(int share, int shares);     \
  template bool DataLayer<Dtype>::OfOthers() const;                        \
  template std::vector<int> DataLayer<Dtype>::InferShape();                \
  template void DataLayer<Dtype>::load_batch(Batch<Dtype>* batch)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
