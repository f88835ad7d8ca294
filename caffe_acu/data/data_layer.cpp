// The members of upstream's classes that patch 0005 declares or leaves out.
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
  // Drawn here, in the order of the records: no thread has a say.
  record.seed = this->data_transformer_->DrawSeed();
  return record;
}

template <typename Dtype>
std::vector<int> DataLayer<Dtype>::InferShape() {
  read_ahead_.reset(new ReadAhead(this->layer_param_.data_param()));
  loader_.reset(new BatchLoader<Dtype>(this->layer_param_, *this->data_transformer_));
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

#define CAFFE_ACU_INSTANTIATE(Dtype)                                       \
  template DataTransformer<Dtype>::DataTransformer(const DataTransformer&); \
  template Record DataLayer<Dtype>::CurrentRecord();                       \
  template std::vector<int> DataLayer<Dtype>::InferShape();                \
  template void DataLayer<Dtype>::load_batch(Batch<Dtype>* batch)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
