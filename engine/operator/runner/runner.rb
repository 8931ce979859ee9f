# Calls what a rb> task names:
#
#     runner.rb METHOD INPUT OUTPUT
#
# INPUT holds the task's parameters as JSON, OUTPUT takes what the method asked for through Digdag.env, or why it failed.
# The parameter `require` names the file of the project, or the library, that has the method.
# Works with Ruby 2.7 and newer. It defines nothing at the top level, which is the project's.

require 'json'

module Digdag
  # What the task was given, and what it asks for.
  class Env
    attr_reader :params, :subtask_config, :export_params, :store_params, :state_params

    def initialize(params)
      @params = params
      @subtask_config = {}
      @export_params = {}
      @store_params = {}
      @state_params = {}
      @subtask_index = 0
    end

    # Set parameters for all later tasks.
    def store(params = {}, **more)
      set(@store_params, params, more)
    end

    # Set parameters for the subtasks that are added here.
    def export(params = {}, **more)
      set(@export_params, params, more)
    end

    # Kept for old scripts: a state goes nowhere.
    def set_state(params = {}, **more)
      set(@state_params, params, more)
    end

    # Add a task: a hash that describes it, or the name of a method at the top level, or a class and the name of its
    # method; with parameters.
    def add_subtask(*what, **more)
      params = what.last.is_a?(Hash) ? what.pop : {}
      config = {}
      set(config, params, more)
      config['rb>'] = Runner.command(*what) unless what.empty?
      begin
        JSON.generate(config, max_nesting: 0) # fails here, where the mistake is, not at the end
      rescue JSON::GeneratorError, JSON::NestingError => e
        raise ArgumentError, "the parameters of a subtask have no JSON form: #{e.message}"
      end
      @subtask_config["+subtask#{@subtask_index}"] = config
      @subtask_index += 1
      nil
    end

    private

    def set(to, *all)
      all.each do |params|
        raise ArgumentError, "parameters must be a Hash, not #{params.inspect}" unless params.is_a?(Hash)
        params.each { |name, value| to[name.to_s] = value }
      end
      nil
    end
  end

  class << self
    attr_accessor :env
  end

  # Finds and calls the method.
  module Runner
    MAIN = TOPLEVEL_BINDING.receiver

    module_function

    # The command that calls what add_subtask is given.
    def command(*what)
      owner, name = what.size == 1 ? [nil, what[0]] : what
      unless what.size <= 2 && name.is_a?(Symbol) && [Module, Symbol, NilClass].any? { |type| owner.is_a?(type) }
        raise ArgumentError, 'add_subtask takes a Hash, a method :name, or a class and a method :name, and then parameters; ' \
                             "not #{what.map(&:inspect).join(', ')}"
      end
      owner = constant(owner.to_s) if owner.is_a?(Symbol)
      raise ArgumentError, 'a class without a name has no task' if owner && owner.name.nil?
      raise ArgumentError, "#{name.inspect} has a dot in it" if name.to_s.include?('.')
      raise ArgumentError, "#{owner || 'the top level'} has no method '#{name}'" unless method?(owner, name)

      owner ? "::#{owner.name}.#{name}" : name.to_s
    end

    def constant(name)
      Object.const_get(name)
    rescue NameError => e
      raise ArgumentError, e.message
    end

    def method?(owner, name)
      return MAIN.respond_to?(name, true) if owner.nil?

      instance_method?(owner, name) || owner.respond_to?(name)
    end

    def instance_method?(owner, name)
      owner.is_a?(Class) && owner.public_method_defined?(name)
    end

    def run(command, params)
      constant, dot, name = command.rpartition('.')
      method =
        if dot.empty?
          unless method?(nil, name)
            hint = params['require'] ? '' : ': the parameter require names the file that has it'
            raise ArgumentError, "the top level has no method '#{name}'#{hint}"
          end
          MAIN.method(name)
        elsif instance_method?(owner = Object.const_get(constant), name)
          call(owner.method(:new), owner.instance_method(:initialize), params).public_method(name)
        else
          owner.public_method(name)
        end
      call(method, method, params)
    end

    # Call a method with the arguments that what it is defined by takes, matched with parameters by name.
    def call(method, definition, params)
      values, keywords = arguments(definition, params)
      method.call(*values, **keywords)
    end

    def arguments(method, params)
      values = []
      keywords = {}
      left_out = nil
      method.parameters.each do |kind, name|
        case kind
        when :req
          values << required(method, name, params)
        when :opt
          if !params.key?(name.to_s)
            left_out ||= name
          elsif left_out
            raise ArgumentError, "#{method.name} needs the parameter '#{left_out}', as there is one for '#{name}' behind it"
          else
            values << params[name.to_s]
          end
        when :keyreq
          keywords[name] = required(method, name, params)
        when :key
          keywords[name] = params[name.to_s] if params.key?(name.to_s)
        when :keyrest
          keywords = params.transform_keys(&:to_sym).merge(keywords)
        end
      end
      [values, keywords]
    end

    def required(method, name, params)
      params.fetch(name.to_s) do
        raise ArgumentError, "#{method.owner}##{method.name} needs the parameter '#{name}', which is not set"
      end
    end

    def main(command, source, target)
      target = File.expand_path(target) # the method may go elsewhere
      raise "rb> needs Ruby 2.7 or newer, and this is #{RUBY_VERSION}: set ruby: PROGRAM" if (RUBY_VERSION.split('.').map(&:to_i) <=> [2, 7]) < 0

      input = File.read(source, encoding: 'UTF-8')
      params = JSON.parse(input, max_nesting: false).fetch('params')
      Digdag.env = Env.new(params)
      $stdout.sync = true # a log is followed while it grows
      $LOAD_PATH.unshift(Dir.pwd) # only now: the project may have files named as those that are needed here
      require params['require'].to_s if params['require']
      run(text(command), params)
      env = Digdag.env
      write(target, subtask_config: env.subtask_config, export_params: env.export_params, store_params: env.store_params)
    rescue Exception => e # whatever it is, it is told
      failed(target, command, e)
    end

    def failed(target, command, error)
      ours = File.expand_path(__FILE__)
      backtrace = (error.backtrace || []).reject { |line| File.expand_path(line).start_with?(ours) } # nothing to learn there
      name = error.class.name || error.class.to_s
      message = describe(command, error)
      write(target, error: { class: name, message: message, backtrace: backtrace.map { |line| text(line) } })
      first, *rest = backtrace
      $stderr.puts "#{first && text(first) + ': '}#{message} (#{name})", rest.map { |line| "\tfrom #{text(line)}" }
      exit 1
    end

    def describe(command, error)
      if error.is_a?(SystemExit)
        return "'#{command}' ended Ruby with the exit status #{error.status}, but must return or raise an exception"
      end

      text(error.message)
    rescue StandardError # it cannot tell its message
      ''
    end

    # JSON takes nothing but UTF-8.
    def text(value)
      value.to_s.dup.force_encoding('UTF-8').scrub
    end

    def write(target, answer)
      text = JSON.generate(answer, max_nesting: 0)
      File.open(target, 'wb') { |file| file.write(text) }
    end
  end
  private_constant :Runner
end

Digdag.const_get(:Runner, false).main(*ARGV)
