// A C++ gRPC server that returns what it was sent: what a stock server costs, for `kyrobench cost`.
// usage: grpc_server sync|callback PORT-FILE
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstring>
#include <memory>

#include "echo.grpc.pb.h"

using kyrobench::Bytes;
using kyrobench::Echo;

namespace {

struct SyncEcho final : Echo::Service {
    grpc::Status Echo(grpc::ServerContext *, const Bytes *request, Bytes *reply) override {
        reply->set_body(request->body());
        return grpc::Status::OK;
    }
};

struct CallbackEcho final : Echo::CallbackService {
    grpc::ServerUnaryReactor *Echo(
        grpc::CallbackServerContext *context, const Bytes *request, Bytes *reply) override {
        reply->set_body(request->body());
        auto *reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }
};

bool write_port(const char *path, int port) {
    FILE *file = fopen(path, "w");
    if (file == nullptr) return false;
    bool ok = fprintf(file, "127.0.0.1:%d\n", port) > 0;
    return fclose(file) == 0 && ok;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: grpc_server sync|callback PORT-FILE\n");
        return 2;
    }
    SyncEcho sync;
    CallbackEcho callback;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    if (strcmp(argv[1], "sync") == 0) {
        builder.RegisterService(&sync);
    } else {
        builder.RegisterService(&callback);
    }
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr || !write_port(argv[2], port)) {
        fprintf(stderr, "grpc_server: could not start\n");
        return 1;
    }
    server->Wait();
    return 0;
}
