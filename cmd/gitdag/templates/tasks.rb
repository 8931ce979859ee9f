# Arguments are parameters of the same name; what is stored, later tasks see.
class Tasks
  def count(limit)
    Digdag.env.store(counted: limit)
  end

  def greet(greeting, session_time)
    puts "#{greeting} from session #{session_time}"
  end
end
